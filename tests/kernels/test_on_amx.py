"""The forms for CPUs with AMX; they run on any CPU, if more slowly."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from alexnet_jax.kernels import on_amx, operations, select
from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.models import ops

RANDOM = np.random.default_rng(0)
EPS = float(jnp.finfo(jnp.bfloat16).eps)


def maps(*shape, dtype=jnp.float32):
    return jnp.asarray(RANDOM.normal(size=shape), dtype)


def check(form, plain, arrays, settings):
    """Compare a form with a plain function of float32 arrays.

    By the largest magnitude: results are sums, whose terms may cancel.
    """
    expected, pull = jax.vjp(plain, *(each.astype(jnp.float32) for each in arrays))
    gradient = maps(*expected.shape).astype(arrays[0].dtype)
    found = [form.compute(*arrays, *settings), *form.gradients(*arrays, gradient, *settings)]
    tolerance = 1e-5 if arrays[0].dtype == jnp.float32 else EPS
    for own, other in zip(found, [expected, *pull(gradient.astype(jnp.float32))], strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(np.float32(own), other, rtol=0, atol=tolerance * scale)
    return found


CONVOLUTIONS = {  # Images, kernel's window and features, stride, padding, groups.
    "conv1": ((2, 32, 32, 3), 11, 8, 4, (0, 3), 1),
    "conv2": ((3, 9, 7, 8), 5, 12, 1, (2, 2), 2),
    "conv3": ((5, 7, 9, 8), 3, 12, 1, (1, 1), 1),
    "one_image": ((1, 6, 5, 4), 3, 6, 1, (1, 1), 2),
    "one_pixel_kernel": ((4, 5, 5, 4), 1, 6, 1, (0, 0), 2),
    "uneven_edges": ((3, 13, 10, 2), 3, 5, 1, (4, 0), 1),
    "wider_edges_than_the_kernel": ((2, 5, 6, 4), 1, 6, 1, (1, 2), 2),
    "large_maps": ((2, 60, 60, 2), 3, 4, 1, (1, 1), 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolves_as_plainly(case, dtype, monkeypatch):
    monkeypatch.setattr(select, "vector_units", lambda: "amx")
    monkeypatch.setattr(select, "_WORTH_PARTS", 0)
    shape, window, features, stride, padding, groups = CONVOLUTIONS[case]
    images = maps(*shape, dtype=dtype)
    kernel = maps(window, window, shape[-1] // groups, features, dtype=dtype)
    geometry = Geometry((window, window), stride, (padding, padding), groups, lax.Precision.HIGHEST)

    def plain(images, kernel):  # XLA's gradient of one with (4, 0) zeros reads past its images.
        padded = jnp.pad(images, ((0, 0), padding, padding, (0, 0)))
        return ops.conv2d(padded, kernel, stride, (0, 0), groups)

    found = check(select.PATCHES, plain, (images, kernel), (geometry,))
    assert {each.dtype for each in found} == {jnp.dtype(dtype)}


def test_convolves_any_number_of_images():
    geometry = Geometry((3, 3), 1, ((1, 1), (1, 1)), 2, lax.Precision.HIGHEST)
    kernel = maps(3, 3, 4, 6, dtype=jnp.bfloat16)
    convolve = jax.jit(lambda images: select.PATCHES.compute(images, kernel, geometry))
    (number,) = jax.export.symbolic_shape("images")
    any_number = jax.ShapeDtypeStruct((number, 7, 7, 8), jnp.bfloat16)
    exported = jax.export.export(convolve)(any_number)
    images = maps(3, 7, 7, 8, dtype=jnp.bfloat16)
    assert jnp.array_equal(exported.call(images), convolve(images))


@pytest.mark.parametrize(
    ("batch", "pixels", "count"),
    [(32, 169, 16), (32, 729, 8), (50, 729, 5), (7, 729, 7), (3, 9000, 1)],
)
def test_takes_as_many_images_at_once_as_divide_the_batch(batch, pixels, count):
    assert on_amx._images_at_once(batch, pixels) == count


@pytest.mark.parametrize("form", [select.CONNECT_TURNED, select.CONNECT_BFLOAT16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_connects_as_plainly(form, dtype):
    settings = 1, lax.Precision.HIGHEST, jnp.dtype(dtype)
    plain = partial(
        ops.connect, groups=1, precision=lax.Precision.HIGHEST, result_dtype=jnp.float32
    )
    x, kernel = maps(4, 3, 3, 8, dtype=dtype), maps(72, 6)
    found = check(form, plain, (x, kernel), settings)
    assert [each.dtype for each in found] == [jnp.dtype(dtype), jnp.dtype(dtype), jnp.float32]


def test_few_images_are_multiplied_with_the_float32_kernel():
    x, kernel = maps(4, 40, dtype=jnp.bfloat16), maps(40, 24)
    settings = 1, lax.Precision.HIGHEST, jnp.float32
    exact = ops.connect(x.astype(jnp.float32), kernel, *settings)
    found = select.CONNECT_TURNED.compute(x, kernel, *settings)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)
    rounded = select.CONNECT_BFLOAT16.compute(x, kernel, *settings)
    assert np.abs(rounded - exact).max() > 1e-4


def test_programs_for_few_images_can_be_exported(monkeypatch):
    monkeypatch.setattr(select, "vector_units", lambda: "amx")
    kernels = maps(5, 5, 16, 64, dtype=jnp.bfloat16), maps(32 * 32 * 64, 6)

    def forward(images):
        sums = operations.conv2d(images, kernels[0], padding=(2, 2))
        return operations.connect(sums, kernels[1], 1, lax.Precision.HIGHEST, jnp.float32)

    images = maps(2, 32, 32, 16, dtype=jnp.bfloat16)
    exported = jax.export.export(jax.jit(forward))(images)
    np.testing.assert_allclose(exported.call(images), forward(images), rtol=1e-3)
