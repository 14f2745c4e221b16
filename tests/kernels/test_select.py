import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import alexnet_jax
from alexnet_jax.kernels import select
from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.kernels.operations import conv2d, max_pool

ROOT = Path(alexnet_jax.__file__).parents[1]


@pytest.fixture
def processor(monkeypatch):
    """Set the processor's widest units."""
    return lambda units: monkeypatch.setattr(select, "vector_units", lambda: units)


def conv_form(platform, images, kernel, stride, groups, dtype=jnp.float32):
    arrays = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in (images, kernel))
    geometry = Geometry(kernel[:2], stride, ((0, 0), (0, 0)), groups, lax.Precision.HIGHEST)
    return select.choose("conv2d", platform, arrays, (geometry,))


@pytest.mark.parametrize(
    ("images", "kernel", "stride", "groups", "form"),
    [
        ((32, 224, 224, 3), (11, 11, 3, 96), 4, 1, select.BANDS),  # conv1
        ((32, 27, 27, 96), (5, 5, 48, 256), 1, 2, select.WINOGRAD_5X5),  # conv2
        ((32, 13, 13, 256), (3, 3, 256, 384), 1, 1, select.WINOGRAD_3X3),  # conv3
        ((32, 13, 13, 384), (3, 3, 192, 256), 1, 2, select.WINOGRAD_3X3),  # conv5
        ((64, 10, 10, 16), (3, 3, 16, 32), 1, 1, select.WHOLE),  # narrow
        ((32, 27, 27, 96), (5, 5, 96, 256), 2, 1, select.WHOLE),  # as many features as XLA divides
    ],
)
@pytest.mark.parametrize("units", ["avx2", "avx512", "amx"])
def test_the_form_of_a_convolution_in_float32_on_cpus(
    images, kernel, stride, groups, form, units, processor
):
    processor(units)
    assert conv_form("cpu", images, kernel, stride, groups) is form


def test_outside_of_jit_a_form_is_one_program(caplog):
    """As in `model.init`, which compiled each operation of a form by itself."""
    images, kernel = np.zeros((1, 19, 19, 32), np.float32), np.zeros((3, 3, 32, 32), np.float32)
    with jax.log_compiles():
        conv2d(images, kernel)
    assert re.findall(r"Finished XLA compilation of jit\((\w+)\)", caplog.text) == ["_compute_on"]


@pytest.mark.parametrize(
    ("units", "form"),
    [("", select.WHOLE), ("avx2", select.WHOLE), ("avx512", select.WHOLE), ("amx", select.PATCHES)],
)
def test_bfloat16_has_too_few_digits_for_transforms(units, form, processor):
    processor(units)
    found = conv_form("cpu", (32, 13, 13, 256), (3, 3, 256, 384), 1, 1, jnp.bfloat16)
    assert found is form


def test_small_convolutions_are_not_cut_for_matrix_units(processor):
    processor("amx")
    form = conv_form("cpu", (64, 10, 10, 16), (3, 3, 16, 32), 1, 1, jnp.bfloat16)
    assert form is select.WHOLE


@pytest.mark.parametrize(
    ("images", "dtype", "groups", "form"),
    [
        (64, jnp.float32, 1, select.CONNECT_TURNED),
        (64, jnp.bfloat16, 1, select.CONNECT_TURNED),
        (65, jnp.float32, 1, select.CONNECT),
        (65, jnp.bfloat16, 1, select.CONNECT_BFLOAT16),
        (64, jnp.bfloat16, 2, select.CONNECT),
        (64, np.float64, 1, select.CONNECT),
    ],
)
def test_the_form_of_connected_units_beside_matrix_units(images, dtype, groups, form, processor):
    arrays = jax.ShapeDtypeStruct((images, 40), dtype), jax.ShapeDtypeStruct((40, 8), jnp.float32)
    settings = groups, lax.Precision.HIGHEST, jnp.float32
    processor("amx")
    assert select.choose("connect", "cpu", arrays, settings) is form
    processor("avx512")
    assert select.choose("connect", "cpu", arrays, settings) is select.CONNECT


@pytest.mark.parametrize(
    ("images", "dtype", "groups", "form"),
    [
        (3, jnp.float32, 1, select.CONNECT),
        (4, jnp.float32, 1, select.CONNECT_TURNED),
        (64, jnp.float32, 1, select.CONNECT_TURNED),
        (65, jnp.float32, 1, select.CONNECT),
        (32, jnp.float32, 2, select.CONNECT),
        (32, jnp.bfloat16, 1, select.CONNECT),
    ],
)
def test_the_form_of_connected_units_without_avx512(images, dtype, groups, form, processor):
    arrays = jax.ShapeDtypeStruct((images, 40), dtype), jax.ShapeDtypeStruct((40, 8), jnp.float32)
    processor("avx2")
    settings = groups, lax.Precision.HIGHEST, jnp.float32
    assert select.choose("connect", "cpu", arrays, settings) is form
    assert select.choose("connect", "cuda", arrays, settings) is select.CONNECT_FLOAT32_KERNEL


def test_matrix_units_of_cpus_are_nothing_to_other_platforms(processor):
    processor("amx")
    form = conv_form("tpu", (32, 13, 13, 256), (3, 3, 256, 384), 1, 1, jnp.bfloat16)
    assert form is select.XLA_IN_GROUPS
    assert not {"amx", "avx2"} & {*select.platforms("conv2d"), *select.platforms("connect")}


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("cuda", select.CUDNN), ("rocm", select.XLA), ("tpu", select.XLA_IN_GROUPS)],
    ids=["cuda", "rocm", "tpu"],
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_chips_convolve_by_xla(platform, expected, dtype):
    form = conv_form(platform, (32, 13, 13, 256), (3, 3, 256, 384), 1, 1, dtype)
    assert form is expected


@pytest.mark.parametrize("operation", select.TABLE)
def test_every_platform_has_a_form_of_any_dtype_and_shape(operation):
    row = select.TABLE[operation][-1]
    assert (row.platform, row.dtypes, row.fits) == ("default", (), select._always)


@pytest.mark.parametrize(("platform", "loops"), [("cpu", 1), ("cuda", 0), ("tpu", 0)])
def test_pooling_finds_places_in_a_loop_on_cpus(platform, loops):
    traced = jax.jit(jax.grad(lambda x: max_pool(x, 3, 2).sum())).trace(jnp.ones((2, 9, 9, 8)))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.while") == loops


def test_a_row_more_is_a_form_more(monkeypatch):
    """Forward and gradient, on its platform alone."""
    doubled = select.Form(
        compute=lambda images, kernel, geometry: 2 * images,
        gradients=lambda images, kernel, gradient, geometry: (3 * gradient, 0 * kernel),
    )
    row = select.Row("cpu", ("float32",), lambda images, *_: images.shape[1] == 4, doubled)
    rows = (row, *select.TABLE["conv2d"])
    monkeypatch.setitem(select.TABLE, "conv2d", rows)
    images, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((1, 1, 2, 2))
    result, pull = jax.vjp(conv2d, images, kernel)
    np.testing.assert_array_equal(result, 2 * images)
    np.testing.assert_array_equal(pull(result)[0], 6 * images)
    program = jax.jit(conv2d).trace(images, kernel).lower(lowering_platforms=("cuda",)).as_text()
    assert program.count("stablehlo.convolution") == 1


PROGRAM = """
import hashlib, jax, jax.numpy as jnp
from alexnet_jax.kernels.operations import conv2d, local_response_norm
x, w = jnp.ones((1, 8, 8, 8)), jnp.ones((3, 3, 8, 8))
traced = jax.jit(lambda x, w: local_response_norm(conv2d(x, w), 2.0, 2e-5, 0.75, 5)).trace(x, w)
text = traced.lower(lowering_platforms=("cuda",)).as_text()
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_every_process_lowers_the_same_program():
    """The cache of compiled programs finds it, and processes of a cluster agree."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
