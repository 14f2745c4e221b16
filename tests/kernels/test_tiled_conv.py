from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from alexnet_jax.kernels.tiled_conv import at_once, in_bands
from alexnet_jax.models import ops


def normal(shape):
    return jnp.float32(np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize("most", [1, 4, 9, 100])
@pytest.mark.parametrize(("stride", "padding"), [(1, (2, 2)), (2, (0, 3)), (1, (4, 0))])
@pytest.mark.parametrize("channels", [2, 16, 64])  # XLA has kernels for few and for many.
def test_bands_are_the_whole(channels, stride, padding, most):
    images, kernel = normal((3, 17, 9, channels)), normal((5, 5, channels, 8))
    whole = ops.conv2d(images, kernel, stride, padding)
    edges = padding, padding
    convolve = jax.jit(
        partial(in_bands, stride=stride, edges=edges, most=most, precision=lax.Precision.HIGHEST)
    )
    bands = convolve(images, kernel)
    assert len(bands) == min(most, whole.shape[1])
    # jax 0.12 sums bands otherwise than the whole: both differ from float64 by up to 1e-6 of the
    # largest. jax 0.10 gives the same bits.
    tolerance = 2.5e-6 * np.abs(whole).max()
    np.testing.assert_allclose(jnp.concatenate(bands, axis=1), whole, rtol=0, atol=tolerance)


@pytest.mark.parametrize("edges", [(-3, 2), (2, -3), (-2, -1), (1, 2)])
@pytest.mark.parametrize("channels", [2, 16, 64])
def test_edges_below_zero_leave_pixels_out(channels, edges):
    images, kernel = normal((3, 17, 12, channels)), normal((5, 5, channels, 8))
    before, after = edges
    kept = images[:, max(-before, 0) : 17 - max(-after, 0), max(-before, 0) : 12 - max(-after, 0)]
    padding = max(before, 0), max(after, 0)
    expected = ops.conv2d(kept, kernel, 1, padding)
    convolve = jax.jit(
        partial(at_once, stride=1, edges=(edges, edges), precision=lax.Precision.HIGHEST)
    )
    np.testing.assert_allclose(convolve(images, kernel), expected, atol=1e-4)
