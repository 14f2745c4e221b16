from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from alexnet_jax.kernels import conv, select
from alexnet_jax.kernels.conv import Geometry, bands, convolve_at_once
from alexnet_jax.kernels.operations import conv2d
from alexnet_jax.models import ops

# Images, kernel's window and features, stride, padding, groups.
CASES = {
    "conv1": ((2, 32, 32, 3), 11, 8, 4, (0, 3), 1),
    "conv1_of_tiny": ((4, 21, 21, 3), 11, 6, 2, (0, 1), 1),
    "conv2": ((3, 9, 7, 8), 5, 12, 1, (2, 2), 2),
    "conv3": ((5, 7, 9, 8), 3, 12, 1, (1, 1), 1),
    "four_groups": ((4, 7, 5, 8), 3, 12, 1, (1, 1), 4),
    "one_image": ((1, 6, 5, 4), 3, 6, 1, (1, 1), 2),
    "one_pixel_kernel": ((4, 5, 5, 4), 1, 6, 2, (0, 0), 2),
    "uneven": ((3, 13, 10, 2), 3, 5, 3, (2, 1), 1),
    "uneven_edges": ((3, 13, 10, 2), 3, 5, 1, (2, 0), 1),
    "wide_uneven_edges": ((3, 13, 10, 2), 3, 5, 1, (4, 0), 1),
    "wide_uneven_edges_and_stride": ((3, 13, 10, 2), 3, 5, 2, (4, 0), 1),
    "wide_window_of_four_groups": ((1, 7, 10, 8), 5, 8, 1, (2, 2), 4),
    "wider_edges_than_the_kernel": ((2, 5, 6, 4), 1, 6, 1, (1, 2), 2),
}


def normal(shape):
    return jnp.float32(np.random.default_rng(0).normal(size=shape))


def value_and_gradients(convolve, shape, window, features, stride, padding, groups):
    images = normal(shape)
    kernel = normal((window, window, shape[-1] // groups, features))

    @jax.jit
    def compute(images, kernel, numbers):
        result, pull = jax.vjp(lambda x, w: convolve(x, w, stride, padding, groups), images, kernel)
        return result, *pull(numbers[: result.size].reshape(result.shape))

    return compute(images, kernel, normal(20_000))


def convolve_padded(images, kernel, stride, padding, groups):
    """The plain form; XLA's gradient of one with (4, 0) zeros reads past its images on CPUs."""
    padded = jnp.pad(images, ((0, 0), padding, padding, (0, 0)))
    return ops.conv2d(padded, kernel, stride, (0, 0), groups)


@cache
def in_the_plain_form(case):
    return value_and_gradients(convolve_padded, *CASES[case])


def assert_close(actual, expected, tolerance):
    """Compare by the largest magnitude: gradients are sums, whose terms may cancel."""
    actual, expected = np.float32(actual), np.float32(expected)
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("worth", [{}, {"_WORTH_PARTS": 0}, {"_WORTH_TRANSFORMS": {3: 0, 5: 0}}])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_form_forward_and_backward(case, worth, monkeypatch):
    for name, work in worth.items():
        monkeypatch.setattr(select, name, work)  # These are small.
    ours = value_and_gradients(conv2d, *CASES[case])
    for actual, expected in zip(ours, in_the_plain_form(case), strict=True):
        assert_close(actual, expected, 1e-5)


@pytest.mark.parametrize(("platform", "count"), [("cpu", conv._BANDS), ("cuda", 1), ("tpu", 1)])
def test_a_large_convolution_of_few_features_is_done_in_bands_on_cpus(platform, count):
    images, kernel = jax.ShapeDtypeStruct((32, 224, 224, 3), jnp.float32), normal((11, 11, 3, 96))
    traced = jax.jit(lambda x: conv2d(x, kernel, 4, (2, 2))).trace(images)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") == count


@pytest.mark.slow
def test_bfloat16_sums_the_kernels_gradient_in_float32():
    images, kernel = normal((64, 9, 9, 4)), normal((3, 3, 4, 4))

    def gradient(dtype):
        def total(kernel):
            return jnp.sum(jnp.square(conv2d(images.astype(dtype), kernel.astype(dtype))))

        return jax.jit(jax.grad(total))(kernel)

    assert_close(gradient(jnp.bfloat16), gradient(jnp.float32), 0.01)


@pytest.mark.parametrize(
    ("images", "kernel", "stride", "padding", "groups", "rule"),
    [
        ((8, 8, 3), (3, 3, 3, 4), 1, (0, 0), 1, r"images are \[B, H, W, C\]"),
        ((1, 8, 8, 3), (3, 3, 4), 1, (0, 0), 1, r"kernels \[h, w, C / groups, features\]"),
        ((1, 8, 8, 4), (3, 3, 3, 4), 1, (0, 0), 1, "images need 3 channels"),
        ((1, 8, 8, 4), (3, 3, 4, 4), 1, (0, 0), 2, "images need 8 channels"),
        ((1, 8, 8, 4), (3, 3, 2, 5), 1, (0, 0), 2, "groups divide the features"),
        ((1, 8, 8, 3), (3, 3, 3, 4), 0, (0, 0), 1, "at least 1"),
        ((1, 8, 8, 3), (3, 3, 3, 4), 1, (0, -1), 1, "at least 0"),
        ((1, 8, 8, 3), (11, 11, 3, 4), 4, (0, 2), 1, "smaller than the kernel"),
    ],
)
def test_refuses_what_does_not_fit(images, kernel, stride, padding, groups, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        conv2d(jnp.zeros(images), jnp.zeros(kernel), stride, padding, groups)
    assert str(images) in str(caught.value)
    assert str(kernel) in str(caught.value)


@pytest.mark.parametrize("most", [1, 4, 9, 100])
@pytest.mark.parametrize(("stride", "padding"), [(1, (2, 2)), (2, (0, 3)), (1, (4, 0))])
@pytest.mark.parametrize("channels", [2, 16, 64])  # XLA has kernels for few and for many.
def test_bands_are_the_whole(channels, stride, padding, most):
    images, kernel = normal((3, 17, 9, channels)), normal((5, 5, channels, 8))
    whole = ops.conv2d(images, kernel, stride, padding)
    geometry = Geometry((5, 5), stride, (padding, padding), 1, lax.Precision.HIGHEST)
    parts = jax.jit(partial(bands, geometry=geometry, most=most))(images, kernel)
    assert len(parts) == min(most, whole.shape[1])
    # jax 0.12 sums bands otherwise than the whole: both differ from float64 by up to 1e-6 of the
    # largest. jax 0.10 gives the same bits.
    tolerance = 2.5e-6 * np.abs(whole).max()
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), whole, rtol=0, atol=tolerance)


@pytest.mark.parametrize("edges", [(-3, 2), (2, -3), (-2, -1), (1, 2)])
@pytest.mark.parametrize("channels", [2, 16, 64])
def test_edges_below_zero_leave_pixels_out(channels, edges):
    images, kernel = normal((3, 17, 12, channels)), normal((5, 5, channels, 8))
    before, after = edges
    kept = images[:, max(-before, 0) : 17 - max(-after, 0), max(-before, 0) : 12 - max(-after, 0)]
    padding = max(before, 0), max(after, 0)
    expected = ops.conv2d(kept, kernel, 1, padding)
    geometry = Geometry((5, 5), 1, (edges, edges), 1, lax.Precision.HIGHEST)
    convolve = jax.jit(partial(convolve_at_once, geometry=geometry))
    np.testing.assert_allclose(convolve(images, kernel), expected, atol=1e-4)
