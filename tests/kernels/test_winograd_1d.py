import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_convolution import value_and_gradients
from jax import lax

from alexnet_jax.kernels import winograd_1d
from alexnet_jax.kernels.conv import conv2d
from alexnet_jax.models import ops

IMAGES, KERNEL = (4, 27, 27, 48), (5, 5, 48, 128)  # A group of `original`'s conv2.


def normal(shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


@pytest.mark.slow
def test_differs_from_the_exact_sum_by_a_hundred_thousandth_at_most():
    with jax.enable_x64(True):
        exact = value_and_gradients(ops.conv2d, IMAGES, KERNEL, jnp.float64)
    ours = value_and_gradients(conv2d, IMAGES, KERNEL, jnp.float32)
    for actual, expected in zip(ours, exact, strict=True):
        assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("images", [(3, 12, 9, 2), (1, 5, 5, 3), (6, 7, 30, 1)])
@pytest.mark.parametrize("edges", [((2, 2), (2, 2)), ((0, 1), (3, 0)), ((0, 0), (0, 0))])
def test_any_size_and_edges_fit(images, edges):
    x, w = jnp.float32(normal(images)), jnp.float32(normal((3, 5, images[3], 4)))
    padded = jnp.pad(x, ((0, 0), *edges, (0, 0)))
    plain, of_kernel = jax.vjp(lambda w: ops.conv2d(padded, w), w)
    np.testing.assert_allclose(
        winograd_1d.convolve(x, w, edges, lax.Precision.HIGHEST), plain, atol=1e-4
    )
    gradient = jnp.float32(normal(plain.shape))
    actual = winograd_1d.kernel_gradient(x, gradient, edges, lax.Precision.HIGHEST)
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
