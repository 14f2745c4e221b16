"""The gradient of a convolution's kernel: patches of the images times the result's gradient."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.kernels.conv import Geometry, pad

# (images, gradient, window, precision) -> float32 [h, w, C, features]; stride 1, padded images.
SumOfProducts = Callable[[jax.Array, jax.Array, tuple[int, int], lax.Precision], jax.Array]


def kernel_gradient(images: jax.Array, gradient: jax.Array, geometry: Geometry) -> jax.Array:
    """Return the gradient of the kernel, [h, w, C, features], without groups."""
    return of_blocks(_sum_of_products, images, gradient, geometry)


def of_blocks(
    sum_of_products: SumOfProducts, images: jax.Array, gradient: jax.Array, geometry: Geometry
) -> jax.Array:
    """Return the gradient of the kernel by a sum for stride 1.

    Blocks of `stride` x `stride` pixels become one pixel each.
    """
    blocks = _images_to_blocks(images, gradient.shape[1:3], geometry)
    shape = *geometry.window, images.shape[-1], gradient.shape[-1]
    kernel = jax.ShapeDtypeStruct(shape, images.dtype)
    to_blocks = partial(_kernel_to_blocks, stride=geometry.stride)
    height, width = jax.eval_shape(to_blocks, kernel).shape[:2]
    of_windows = sum_of_products(blocks, gradient, (height, width), geometry.precision)
    return jax.linear_transpose(to_blocks, kernel)(of_windows.astype(kernel.dtype))[0]


def _kernel_to_blocks(kernel: jax.Array, stride: int) -> jax.Array:
    """Turn a strided kernel into one of stride 1 over blocks of pixels.

    The 11x11 kernel of conv1 over 3 channels with stride 4 becomes 3x3 over 48, its last row and
    column zeros.
    """
    height, width, channels, features = kernel.shape
    rows, columns = -(-height // stride), -(-width // stride)
    missing = (0, rows * stride - height), (0, columns * stride - width)
    padded = jnp.pad(kernel, (*missing, (0, 0), (0, 0)))
    split = padded.reshape(rows, stride, columns, stride, channels, features)
    return split.swapaxes(1, 2).reshape(rows, columns, stride**2 * channels, features)


def _images_to_blocks(images: jax.Array, size: tuple[int, ...], geometry: Geometry) -> jax.Array:
    """Pad images, and make each block a pixel: [B, H, W, C] -> [B, rows, columns, stride²·C].

    `size` is H' and W' of the result.
    """
    batch, *sides, channels = images.shape
    stride = geometry.stride
    rows, columns = (
        count - 1 + -(-part // stride) for count, part in zip(size, geometry.window, strict=True)
    )
    # A negative padding cuts off the pixels that no window reads.
    ends = [
        (before, blocks * stride - before - side)
        for (before, _), blocks, side in zip(geometry.edges, (rows, columns), sides, strict=True)
    ]
    split = pad(images, *ends).reshape(batch, rows, stride, columns, stride, channels)
    return split.swapaxes(2, 3).reshape(batch, rows, columns, stride**2 * channels)


def _sum_of_products(
    images: jax.Array, gradient: jax.Array, window: tuple[int, int], precision: lax.Precision
) -> jax.Array:
    """Sum patches times gradient."""
    height, width = gradient.shape[1:3]
    channels, features = images.shape[-1], gradient.shape[-1]

    def multiply(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        above = y.reshape(-1, y.shape[-1])
        products = []
        for first in range(window[0]):
            row = x[:, first : first + height]
            under = [row[:, :, column : column + width] for column in range(window[1])]
            patches = jnp.concatenate(under, axis=-1)  # [b, H', W', w·C]
            products.append(
                jnp.matmul(
                    patches.reshape(-1, patches.shape[-1]).T,
                    above,
                    precision=precision,
                    preferred_element_type=jnp.float32,
                )
            )
        return products

    start = jnp.zeros((window[1] * channels, features), jnp.float32)
    # Of two images and a row of the window the patches stay in the cache; of four they do not.
    sums = sum_over_images(multiply, images, gradient, [start] * window[0], most=2)
    return jnp.concatenate(sums).reshape(*window, channels, features)


def sum_over_images(
    products: Callable[[jax.Array, jax.Array], list[jax.Array]],
    images: jax.Array,
    gradient: jax.Array,
    start: list[jax.Array],
    most: int,
) -> list[jax.Array]:
    """Sum the products of parts of the batch, of at most so many images each, from `start`."""
    count = max(count for count in range(1, most + 1) if len(images) % count == 0)

    def add(index: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
        parts = (
            lax.dynamic_slice_in_dim(whole, index * count, count) for whole in (images, gradient)
        )
        return [lax.add(*pair) for pair in zip(sums, products(*parts), strict=True)]

    return lax.fori_loop(0, len(images) // count, add, start)
