"""The forms for GPUs and TPUs give the plain forms' results and gradients; they run anywhere."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from alexnet_jax.kernels import select
from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.kernels.normalization import Response
from alexnet_jax.models import ops

RANDOM = np.random.default_rng(0)


def maps(*shape, dtype=jnp.float32):
    return jnp.asarray(RANDOM.normal(0, 30, shape), dtype)


@pytest.fixture(params=["cuda", "tpu"])
def platform(request):
    return request.param


def check(platform, operation, plain, arrays, settings):
    """Compare a form of the table's rows for a platform with a plain function of the arrays."""
    form = select.choose(operation, platform, arrays, settings)
    expected, pull = jax.vjp(plain, *arrays)
    result, kept = form.forward(*arrays, *settings)
    gradient = maps(*result.shape)
    found = form.gradients(*arrays, *kept, gradient, *settings)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    for own, other in zip(found, pull(gradient), strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("k", "alpha", "beta"), [(2.0, 2e-5, 0.75), (1.0, 1e-4, 0.5)])
def test_channels_are_normalized_as_plainly(platform, groups, k, alpha, beta):
    x = maps(3, 5, 4, groups, 12)

    def plain(x):
        joined = x.reshape(3, 5, 4, -1)
        normed = ops.local_response_norm(joined, k, alpha, beta, 5, groups)
        return normed.reshape(x.shape)

    check(platform, "local_response_norm", plain, (x,), (Response(k, alpha, beta, 5, (-1,)),))


def test_maps_are_normalized_as_plainly(platform):
    plain = partial(ops.spatial_response_norm, alpha=1e-3, beta=0.75, size=5)
    response = Response(1.0, 1e-3, 0.75, 5, (1, 2))
    check(platform, "spatial_response_norm", plain, (maps(2, 9, 7, 6),), (response,))


@pytest.mark.slow
@pytest.mark.parametrize(("window", "stride"), [(3, 2), (2, 2), (3, 1)])
def test_maxima_are_taken_as_plainly(platform, window, stride):
    plain = partial(ops.max_pool, window=window, stride=stride)
    check(platform, "max_pool", plain, (maps(2, 9, 8, 4),), (window, stride))


def test_of_equal_pixels_the_first_has_the_gradient(platform):
    # After the ReLU whole windows are zero.
    x = jnp.maximum(maps(2, 9, 9, 4), 0).at[:, :6].set(0)
    check(platform, "max_pool", partial(ops.max_pool, window=3, stride=2), (x,), (3, 2))


@pytest.mark.parametrize(("stride", "edges"), [(1, ((2, 2), (2, 2))), (4, ((0, 3), (0, 3)))])
@pytest.mark.parametrize("groups", [1, 2])
def test_groups_are_convolved_as_plainly(platform, groups, stride, edges):
    images, kernel = maps(2, 15, 15, 8), maps(5, 5, 8 // groups, 6) / 100
    geometry = Geometry((5, 5), stride, edges, groups, lax.Precision.HIGHEST)
    plain = partial(ops.conv2d, stride=stride, padding=edges[0], groups=groups)
    check(platform, "conv2d", plain, (images, kernel), (geometry,))


@pytest.mark.parametrize("axes", [(-1,), (1, 2)], ids=["channels", "maps"])
def test_bfloat16_is_as_good_as_its_digits(platform, axes):
    shape = (2, 9, 9, 1, 96) if axes == (-1,) else (2, 9, 9, 32)
    operation = "local_response_norm" if axes == (-1,) else "spatial_response_norm"
    x, gradient = (maps(*shape, dtype=jnp.bfloat16) for _ in range(2))
    response = Response(2.0, 1e-3, 0.75, 5, axes)
    form = select.choose(operation, platform, (x,), (response,))
    wide, above = (each.astype(jnp.float32) for each in (x, gradient))
    exact = select.RESPONSE.compute(wide, response)
    (exact_gradient,) = select.RESPONSE.gradients(wide, above, response)
    found = form.compute(x, response).astype(jnp.float32)
    (found_gradient,) = form.gradients(x, gradient, response)
    eps = float(jnp.finfo(jnp.bfloat16).eps)
    np.testing.assert_allclose(found, exact, rtol=2 * eps)
    # The gradient is a difference of two terms: its error is a part of their size, not of its own.
    error = np.abs(found_gradient.astype(jnp.float32) - exact_gradient)
    assert error.max() < 2 * eps * np.abs(exact_gradient).max()


@pytest.mark.parametrize("groups", [1, 2])
def test_units_are_connected_as_plainly(platform, groups):
    x, kernel = maps(4, 3, 3, 8) / 10, maps(72 // groups, 6) / 100
    settings = groups, lax.Precision.HIGHEST, jnp.float32
    check(
        platform, "connect", lambda *arrays: ops.connect(*arrays, *settings), (x, kernel), settings
    )


def test_what_is_below_zero_has_no_gradient(platform):
    check(platform, "relu", ops.relu, (maps(4, 3, 3, 8).at[0, 0].set(0),), ())


@pytest.mark.slow
def test_products_of_bfloat16_read_a_float32_kernel_on_gpus():
    x, kernel = maps(16, 40, dtype=jnp.bfloat16), maps(40, 24) / 1000
    settings = 1, lax.Precision.DEFAULT, jnp.float32
    form = select.choose("connect", "cuda", (x, kernel), settings)
    assert form is select.CONNECT_FLOAT32_KERNEL
    exact, pull = jax.vjp(
        lambda *arrays: ops.connect(*arrays, *settings), x.astype(jnp.float32), kernel
    )
    np.testing.assert_allclose(form.compute(x, kernel, *settings), exact, rtol=1e-5, atol=1e-5)
    gradient = maps(16, 24)
    found = form.gradients(x, kernel, gradient, *settings)
    assert [each.dtype for each in found] == [jnp.bfloat16, jnp.float32]
    for own, other in zip(found, pull(gradient), strict=True):
        error = np.abs(own.astype(jnp.float32) - other)
        assert error.max() < float(jnp.finfo(jnp.bfloat16).eps) * np.abs(other).max()


def test_products_of_many_images_read_it_in_bfloat16():
    x = jax.ShapeDtypeStruct((2048, 40), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((40, 24), jnp.float32)
    settings = 1, lax.Precision.DEFAULT, jnp.float32
    assert select.choose("connect", "cuda", (x, kernel), settings) is select.CONNECT
