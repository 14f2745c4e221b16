import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_convolution import value_and_gradients
from jax import lax

from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.kernels.operations import conv2d
from alexnet_jax.kernels.winograd import (
    convolve_5,
    kernel_gradient_5,
    matrices,
    transform,
    windows,
)
from alexnet_jax.models import ops

IMAGES_5, KERNEL_5 = (4, 27, 27, 48), (5, 5, 48, 128)  # A group of `original`'s conv2.
IMAGES_3, KERNEL_3 = (4, 13, 13, 96), (3, 3, 96, 128)  # About a group of conv4.


def normal(shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


@pytest.mark.parametrize(
    ("points", "results"),
    [((0, 1, -1), 2), ((0, 1, -1, 2, -2), 4), ((0, 1, -1, 2, -2, 0.5, -0.5), 4), ((0,), 1)],
)
def test_products_at_points_are_a_convolution(points, results):
    of_numbers, of_window, of_products = matrices(points, results)
    rng = np.random.default_rng(0)
    numbers, window = rng.normal(size=len(points) + 1), rng.normal(size=of_window.shape[1])
    actual = of_products @ ((of_window @ window) * (of_numbers @ numbers))
    np.testing.assert_allclose(actual, np.correlate(numbers, window), rtol=1e-12)


def test_transforms_multiply_with_a_matrix():
    matrix = np.array([[1.0, 0.0, -2.0], [0.5, 1.0, 0.0]])
    parts = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    actual = transform([jnp.array(part) for part in parts], matrix)
    np.testing.assert_allclose(jnp.stack(actual), matrix @ parts, rtol=1e-6)


def test_terms_that_differ_in_sign_are_computed_once():
    jaxpr = jax.make_jaxpr(lambda x: transform([x, x + 1], np.array([[1, 2], [1, -2], [-2, 2]])))(
        1.0
    )
    assert [str(equation.primitive) for equation in jaxpr.eqns].count("mul") == 2


def test_windows_are_a_step_apart():
    pixels = jnp.arange(10).reshape(1, 10)
    by_place = windows(pixels, across=4, step=3, count=3, axis=1)
    np.testing.assert_array_equal(
        jnp.concatenate(by_place).T, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    )


@pytest.mark.slow
def test_windows_of_five_columns_differ_from_the_exact_sum_by_a_hundred_thousandth_at_most():
    with jax.enable_x64(True):
        exact = value_and_gradients(ops.conv2d, IMAGES_5, KERNEL_5, jnp.float64)
    ours = value_and_gradients(conv2d, IMAGES_5, KERNEL_5, jnp.float32)
    for actual, expected in zip(ours, exact, strict=True):
        assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("images", [(3, 12, 9, 2), (1, 5, 5, 3), (6, 7, 30, 1)])
@pytest.mark.parametrize("edges", [((2, 2), (2, 2)), ((0, 1), (3, 0)), ((0, 0), (0, 0))])
def test_windows_of_five_columns_take_any_size_and_edges(images, edges):
    x, w = jnp.float32(normal(images)), jnp.float32(normal((3, 5, images[3], 4)))
    padded = jnp.pad(x, ((0, 0), *edges, (0, 0)))
    plain, of_kernel = jax.vjp(lambda w: ops.conv2d(padded, w), w)
    geometry = Geometry((3, 5), 1, edges, 1, lax.Precision.HIGHEST)
    np.testing.assert_allclose(convolve_5(x, w, geometry), plain, atol=1e-4)
    gradient = jnp.float32(normal(plain.shape))
    actual = kernel_gradient_5(x, gradient, geometry)
    np.testing.assert_allclose(actual, of_kernel(gradient)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("platform", "kernel", "dtype", "narrow"),
    [
        ("cpu", (5, 5, 24, 24), jnp.float32, True),
        ("cuda", (5, 5, 24, 24), jnp.float32, False),
        ("tpu", (5, 5, 24, 24), jnp.float32, False),
        ("cpu", (5, 5, 23, 24), jnp.float32, False),  # The transforms take as long as they save.
        ("cpu", (5, 5, 24, 23), jnp.float32, False),
        ("cpu", (5, 5, 24, 24), jnp.bfloat16, False),  # The transforms would lose digits.
    ],
)
def test_narrows_the_window_on_cpus_alone(platform, kernel, dtype, narrow):
    images, kernel = (jax.ShapeDtypeStruct(s, dtype) for s in ((2, 13, 13, kernel[2]), kernel))
    traced = jax.jit(lambda x, w: conv2d(x, w, 1, (2, 2))).trace(images, kernel)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    rows, columns = 3, 8
    assert program.count("stablehlo.convolution") == (rows * columns if narrow else 1)


@pytest.mark.slow
def test_windows_of_3x3_round_as_the_plain_sum_does():
    with jax.enable_x64(True):
        exact = value_and_gradients(ops.conv2d, IMAGES_3, KERNEL_3, jnp.float64)
    ours, plain = (
        value_and_gradients(f, IMAGES_3, KERNEL_3, jnp.float32) for f in (conv2d, ops.conv2d)
    )
    for actual, direct, expected in zip(ours, plain, exact, strict=True):
        assert np.abs(actual - expected).max() < 3 * np.abs(direct - expected).max()


@pytest.mark.parametrize(
    ("platform", "kernel", "dtype", "convolutions"),
    [
        ("cpu", (3, 3, 64, 64), jnp.float32, 0),
        ("cuda", (3, 3, 64, 64), jnp.float32, 1),
        ("tpu", (3, 3, 64, 64), jnp.float32, 1),
        ("cpu", (3, 3, 63, 64), jnp.float32, 1),  # The transforms would take longer than they save.
        ("cpu", (3, 3, 64, 63), jnp.float32, 1),
        ("cpu", (3, 3, 64, 64), jnp.bfloat16, 1),  # The transforms would lose digits.
    ],
)
def test_products_of_matrices_replace_3x3_convolutions_on_cpus_alone(
    platform, kernel, dtype, convolutions
):
    images, kernel = (jax.ShapeDtypeStruct(s, dtype) for s in ((2, 13, 13, kernel[2]), kernel))
    traced = jax.jit(lambda x, w: conv2d(x, w, 1, (1, 1))).trace(images, kernel)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") == convolutions


def test_a_stride_is_left_to_xla():
    images, kernel = (jnp.zeros(s, jnp.float32) for s in (IMAGES_3, KERNEL_3))
    program = jax.jit(lambda x, w: conv2d(x, w, 2, (1, 1))).lower(images, kernel).as_text()
    assert "stablehlo.convolution" in program
