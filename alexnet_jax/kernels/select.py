"""The one table of which form of an operation is computed, by platform, dtype and shapes.

A form is used on the platform where it was measured: "cpu" is two cores of an AMD EPYC, "avx2" two
of an older one without AVX-512, "amx" two of an Intel Xeon with that extension (docs/lab/cpu.md).
Those of "tpu" and "cuda" were compiled, not run: the compilers' estimates of cycles and bytes are
lower than for the others (docs/lab/chips.md).

One form is chosen elsewhere: `data.augment.random_crop` cuts by products on TPUs. It is no
operation of a network, and its pixels are the same, so `model.kernels=plain` leaves it on.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from alexnet_jax.kernels import (
    conv,
    im2col,
    matrix_units,
    normalization,
    on_amx,
    on_gpus,
    pooling,
    winograd,
)
from alexnet_jax.kernels.conv import Geometry, by_group
from alexnet_jax.models import ops
from alexnet_jax.system.cores import vector_units

Arrays = tuple[jax.Array, ...]


class Form(NamedTuple):
    """One way to compute an operation and its gradients."""

    compute: Callable[..., jax.Array]  # (*arrays, *settings) -> result
    gradients: Callable[..., Arrays]  # (*arrays, *kept, gradient, *settings) -> one for each array
    keep: Callable[..., tuple[jax.Array, Arrays]] | None = None  # (*arrays, *settings)

    def forward(self, *operands: Any) -> tuple[jax.Array, Arrays]:
        """Return the result, and what the gradients need besides the arrays."""
        return self.keep(*operands) if self.keep else (self.compute(*operands), ())


class Row(NamedTuple):
    """When a form is used: on the platform, for the last array's dtype, where the shapes fit."""

    platform: str  # "cpu", "cuda", "rocm", "tpu"; "amx", "avx2": CPUs; "default": any other.
    dtypes: tuple[str, ...]  # Empty: any.
    fits: Callable[..., bool]  # (*arrays, *settings)
    form: Form


# Channels and features in a group from which the transforms cost less than they save, by window.
_WORTH_TRANSFORMS = {3: 64, 5: 24}
_WORTH_PARTS = 2 * 10**7  # Multiply-adds per image: a quarter of a millisecond of one core.
_FEW_IMAGES = 512  # Products of more are limited by TensorFloat-32's rate, not by memory.
_VERY_FEW_IMAGES = 64  # Reading the kernel takes longer than products of so many.
_FEWEST_TO_TURN = 4
_BUSY_FEATURES = 256  # XLA divides so many over two cores by itself.


def _transforms_pay(side: int, _: jax.Array, kernel: jax.Array, geometry: Geometry) -> bool:
    fewest = min(kernel.shape[2], kernel.shape[3] // geometry.groups)
    return geometry[:2] == ((side, side), 1) and fewest >= _WORTH_TRANSFORMS[side]


def _worth_parts(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> bool:
    pixels = images.shape[1] * images.shape[2] // geometry.stride**2  # Of a batch of any size.
    return pixels * math.prod(kernel.shape) // geometry.groups >= _WORTH_PARTS


def _bands_pay(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> bool:
    narrow = kernel.shape[3] // geometry.groups < _BUSY_FEATURES
    return narrow and _worth_parts(images, kernel, geometry)


def _few_images(most: int, x: jax.Array, *_: Any) -> bool:
    images = x.shape[0]  # Not an integer where a program is for any number.
    return isinstance(images, int) and images <= most


def _very_few_images(x: jax.Array, _: jax.Array, groups: int, *__: Any) -> bool:
    return groups == 1 and x.dtype != jnp.float64 and _few_images(_VERY_FEW_IMAGES, x)


def _some_images(x: jax.Array, *settings: Any) -> bool:
    """Two images or one are faster as they are, without AMX."""
    few = x.dtype == jnp.float32 and _very_few_images(x, *settings)
    return few and not _few_images(_FEWEST_TO_TURN - 1, x)


def _bfloat16_inputs(x: jax.Array, _: jax.Array, groups: int, *__: Any) -> bool:
    return groups == 1 and x.dtype == jnp.bfloat16


def _always(*_: Any) -> bool:
    return True


def _convolve_on_cpu(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    form = choose("conv2d", "cpu", (images, kernel), (geometry,))
    return form.compute(images, kernel, geometry)


def _on_cpu(convolve: Callable[..., jax.Array], kernel_gradient: Callable[..., jax.Array]) -> Form:
    """Return the form whose gradient of the images is a convolution by this table again."""
    return Form(convolve, partial(conv.gradients_on_cpu, _convolve_on_cpu, kernel_gradient))


def _by_xla(operation: Callable[..., jax.Array]) -> Form:
    """Return the form of an operation of two arrays with JAX's own gradients of both."""

    def gradients(x: jax.Array, y: jax.Array, gradient: jax.Array, *settings: Any) -> Arrays:
        return jax.vjp(lambda *arrays: operation(*arrays, *settings), x, y)[1](gradient)

    return Form(operation, gradients)


WINOGRAD_3X3 = _on_cpu(winograd.convolve_3x3, winograd.kernel_gradient_3x3)
WINOGRAD_5X5 = _on_cpu(by_group(winograd.convolve_5), by_group(winograd.kernel_gradient_5))
BANDS = _on_cpu(by_group(conv.convolve_in_bands), by_group(im2col.kernel_gradient))
WHOLE = _on_cpu(conv.convolve, by_group(im2col.kernel_gradient))
PATCHES = _on_cpu(by_group(on_amx.convolve), by_group(on_amx.kernel_gradient))
XLA, XLA_IN_GROUPS = _by_xla(conv.convolve), _by_xla(conv.convolve_at_once)
RESPONSE_BY_MATRIX = Form(matrix_units.normalize, matrix_units.gradients)
POOL_BY_XLA = Form(ops.max_pool, matrix_units.max_pool_gradients, matrix_units.max_and_nothing)
RESPONSE = Form(normalization.normalize, normalization.gradients)
RESPONSE_ON_GPUS = Form(on_gpus.normalize, on_gpus.norm_gradients)
POOL = Form(pooling.max_pool, pooling.gradients, partial(pooling.max_and_places, pooling.unrolled))
POOL_ON_CPU = Form(pooling.max_pool_on_cpu, pooling.gradients_on_cpu, pooling.max_and_places_on_cpu)

CUDNN = Form(conv.convolve_at_once, on_gpus.conv_gradients)
CONNECT = _by_xla(ops.connect)
CONNECT_TURNED = Form(on_amx.connect, on_amx.connect_gradients)
CONNECT_BFLOAT16 = Form(on_amx.connect_bfloat16, on_amx.connect_bfloat16_gradients)
CONNECT_FLOAT32_KERNEL = Form(on_gpus.connect, on_gpus.connect_gradients)
# A form keeps what those of other platforms keep, whether its own gradient reads it or not.
RELU = Form(ops.relu, lambda x, _, gradient: jax.vjp(ops.relu, x)[1](gradient), on_gpus.keep_relu)
RELU_BY_RESULT = Form(ops.relu, on_gpus.relu_gradients, on_gpus.keep_relu)

_CPUS = {"amx": "cpu", "avx2": "cpu"}
_WIDE = ("float32", "float64")  # The transforms of 16-bit numbers would lose digits.

_RESPONSE_NORM = (
    Row("cuda", (), _always, RESPONSE_ON_GPUS),
    Row("tpu", (), _always, RESPONSE_BY_MATRIX),
    Row("default", (), _always, RESPONSE),
)
TABLE: dict[str, tuple[Row, ...]] = {  # The first row that fits counts.
    "conv2d": (
        Row("cpu", _WIDE, partial(_transforms_pay, 3), WINOGRAD_3X3),
        Row("cpu", _WIDE, partial(_transforms_pay, 5), WINOGRAD_5X5),
        Row("amx", ("bfloat16",), _worth_parts, PATCHES),
        Row("cpu", (), _bands_pay, BANDS),
        Row("cpu", (), _always, WHOLE),
        Row("cuda", (), _always, CUDNN),
        Row("tpu", (), _always, XLA_IN_GROUPS),
        Row("default", (), _always, XLA),
    ),
    "local_response_norm": _RESPONSE_NORM,
    "spatial_response_norm": _RESPONSE_NORM,
    "max_pool": (
        Row("cpu", (), _always, POOL_ON_CPU),
        Row("tpu", (), _always, POOL_BY_XLA),
        Row("default", (), _always, POOL),
    ),
    "connect": (
        Row("amx", ("float32",), _very_few_images, CONNECT_TURNED),
        Row("amx", ("float32",), _bfloat16_inputs, CONNECT_BFLOAT16),
        Row("avx2", ("float32",), _some_images, CONNECT_TURNED),
        Row("cuda", (), partial(_few_images, _FEW_IMAGES), CONNECT_FLOAT32_KERNEL),
        Row("default", (), _always, CONNECT),
    ),
    "relu": (
        Row("cuda", (), _always, RELU_BY_RESULT),
        Row("default", (), _always, RELU),
    ),
}


def platforms(operation: str) -> list[str]:
    """Return the platforms that the table has rows for, "default" among them, in its order.

    The order decides the text of lowered programs, by which compiled ones are found again.
    """
    rows = TABLE[operation]
    return list(dict.fromkeys(_CPUS.get(row.platform, row.platform) for row in rows))


def choose(operation: str, platform: str, arrays: Arrays, settings: tuple) -> Form:
    """Return the form of an operation on a platform; `arrays` need only shapes and dtypes.

    Programs for CPUs are for this machine's: others compute the same, but may be slower.
    """
    names = {platform, "default"} | ({vector_units()} if platform == "cpu" else set())
    return next(
        row.form
        for row in TABLE[operation]
        if row.platform in names
        and (not row.dtypes or arrays[-1].dtype.name in row.dtypes)
        and row.fits(*arrays, *settings)
    )
