"""Forms for CPUs with AMX, whose matrix units multiply bfloat16 numbers and sum float32 ones.

XLA uses them for products of matrices alone, of rows that lie in memory one after the other, with
float32 results. Anything else it converts to float32 first, at a tenth of the speed.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jax.typing import DTypeLike

from alexnet_jax.kernels import conv, im2col
from alexnet_jax.kernels.conv import Geometry, pad
from alexnet_jax.kernels.im2col import sum_over_images
from alexnet_jax.kernels.normalization import widen

_PIXELS = 6144  # Of the result, at a time: patches of so many stay in the cache.
_IMAGES = 16


def convolve(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve, without groups: patches times matrix, a row of the window at a time."""
    if geometry.stride > 1:  # Three channels are too few for products of matrices.
        wide = conv.convolve_in_bands(widen(images), widen(kernel), geometry)
        return wide.astype(images.dtype)
    images = pad(images, *geometry.edges)
    rows, columns, channels, features = kernel.shape
    height, width = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    matrices = list(kernel.reshape(rows, columns * channels, features))

    def compute(part: jax.Array) -> jax.Array:
        products = map(_multiply, _patches(part, rows, columns), matrices)
        return reduce(lax.add, products).astype(images.dtype).reshape(-1, height, width, features)

    batch = images.shape[0]
    known = isinstance(batch, int)  # If not, the program is for any number.
    if not known:
        return compute(images)
    parts = images.reshape(-1, _images_at_once(batch, height * width), *images.shape[1:])
    return lax.map(compute, parts).reshape(batch, height, width, features)


def kernel_gradient(images: jax.Array, gradient: jax.Array, geometry: Geometry) -> jax.Array:
    """Return the gradient of the kernel, without groups: the gradient, turned, times patches."""
    return im2col.of_blocks(_sum_of_products, images, gradient, geometry)


def connect(
    x: jax.Array, kernel: jax.Array, _: int, precision: lax.Precision, result_dtype: DTypeLike
) -> jax.Array:
    """Multiply few images as `models.ops.connect` does, without groups, in float32.

    Reading the kernel takes the time: a copy in bfloat16 would have to be written and read, too.
    The product of turned inputs XLA gives to another library (Eigen, not YNNPACK), which takes half
    the time, without AMX too.
    """
    # Not `_by_rows`: jax.export refuses programs with a layout constraint.
    turned = lax.optimization_barrier(widen(_flat(x)).T)
    return _product(turned, kernel, (0, 0), precision).astype(result_dtype)


def connect_gradients(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, *settings: Any
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of inputs and kernel, from products of float32 numbers."""
    _, precision, _ = settings
    of_x = _product(widen(gradient), kernel, (1, 1), precision)
    return of_x.astype(x.dtype).reshape(x.shape), _of_kernel(x, gradient, precision)


def connect_bfloat16(
    x: jax.Array, kernel: jax.Array, _: int, precision: lax.Precision, result_dtype: DTypeLike
) -> jax.Array:
    """Multiply as `models.ops.connect` does, without groups, a copy of the kernel in bfloat16."""
    return _product(_flat(x), kernel.astype(x.dtype), (1, 0), precision).astype(result_dtype)


def connect_bfloat16_gradients(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, *settings: Any
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of inputs and kernel, the first from products of bfloat16 numbers."""
    _, precision, _ = settings
    above = gradient.astype(x.dtype)
    of_x = _product(above, kernel.astype(x.dtype), (1, 1), precision)
    return of_x.astype(x.dtype).reshape(x.shape), _of_kernel(x, above, precision)


def _of_kernel(x: jax.Array, gradient: jax.Array, precision: lax.Precision) -> jax.Array:
    """Sum over the images in float32: to write the result takes longer than the products."""
    return _product(widen(_flat(x)), widen(gradient), (0, 0), precision)


def _sum_of_products(
    images: jax.Array, gradient: jax.Array, window: tuple[int, int], _: lax.Precision
) -> jax.Array:
    channels, features = images.shape[-1], gradient.shape[-1]
    pixels = gradient.shape[1] * gradient.shape[2]

    def multiply(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        turned = _by_rows(y.reshape(-1, features).T)
        return [_multiply(turned, patches) for patches in _patches(x, *window)]

    start = jnp.zeros((features, window[1] * channels), jnp.float32)
    sums = sum_over_images(
        multiply, images, gradient, [start] * window[0], _images_at_once(len(images), pixels)
    )
    return jnp.stack(sums).reshape(window[0], features, window[1], channels).transpose(0, 2, 3, 1)


def _patches(images: jax.Array, rows: int, columns: int) -> list[jax.Array]:
    """Return what each row of every window sees: [B·H'·W', columns·C], one for each row."""
    height, width = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    shifted = [images[:, :, column : column + width] for column in range(columns)]
    beside = jnp.concatenate(shifted, axis=-1)
    return [beside[:, row : row + height].reshape(-1, beside.shape[-1]) for row in range(rows)]


def _images_at_once(batch: int, pixels: int) -> int:
    """Return a divisor of the batch: so many images have at most `_PIXELS` pixels, or one image."""
    most = max(1, min(_IMAGES, _PIXELS // pixels))
    return max(count for count in range(1, most + 1) if batch % count == 0)


def _multiply(left: jax.Array, right: jax.Array) -> jax.Array:
    return _product(left, right, (1, 0), lax.Precision.HIGHEST)


def _product(
    left: jax.Array, right: jax.Array, axes: tuple[int, int], precision: lax.Precision
) -> jax.Array:
    """Sum over an axis of each matrix, in float32."""
    contracted = (axes[0],), (axes[1],)
    return lax.dot_general(
        left,
        right,
        (contracted, ((), ())),
        precision=precision,
        preferred_element_type=np.promote_types(left.dtype, np.float32),
    )


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _by_rows(matrix: jax.Array) -> jax.Array:
    """Have the matrix written by rows: XLA would let the product read what is transposed."""
    return with_layout_constraint(matrix, Layout((0, 1)))
