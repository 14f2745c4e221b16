"""Convolution, lowered on each platform in the way that is fastest there."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def conv2d(
    images: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> jax.Array:
    """Convolve; group i of the features sees group i of the channels.

    Groups are plain convolutions side by side: XLA's CPU backend has no good gradient of a grouped
    one (141 ms instead of 7 for conv2 of `tiny`, 64 images).

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C / groups, features].
        stride: pixels from one window to the next, in both directions.
        padding: zeros before and after each spatial side.
        groups: number of groups.

    Returns:
        [B, (H + sum(padding) - h) // stride + 1, and so for W, features].

    Raises:
        ValueError: the shapes do not fit.
    """
    _check(images.shape, kernel.shape, stride, padding, groups)
    columns = zip(
        jnp.split(images, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True
    )
    convolved = [_convolve(x, weights, stride, padding) for x, weights in columns]
    return convolved[0] if groups == 1 else jnp.concatenate(convolved, axis=-1)


def _check(
    images: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int,
    padding: tuple[int, int],
    groups: int,
) -> None:
    given = f"images {images}, kernel {kernel}, stride {stride}, padding {padding}, groups {groups}"
    if len(images) != 4 or len(kernel) != 4:
        raise ValueError(f"{given}: images are [B, H, W, C], kernels [h, w, C / groups, features]")
    if stride < 1 or groups < 1 or len(padding) != 2 or min(padding) < 0:
        raise ValueError(
            f"{given}: stride and groups are at least 1, padding is two numbers of at least 0"
        )
    if images[3] != kernel[2] * groups or kernel[3] % groups:
        raise ValueError(
            f"{given}: images need {kernel[2] * groups} channels, and groups divide the features"
        )
    if min(images[1:3]) + sum(padding) < max(kernel[:2]):
        raise ValueError(f"{given}: the padded images are smaller than the kernel")


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(
    images: jax.Array, kernel: jax.Array, stride: int, padding: tuple[int, int]
) -> jax.Array:
    """XLA's convolution, on GPUs cuDNN's; on CPUs with a gradient of the kernel of our own.

    On two cores, batch 32, XLA's gradient took 168 ms for conv1, ours 42; 55 and 36 for conv3; for
    conv2 100, half of them to lay the images out anew, and 70.
    """
    return _plainly(images, kernel, stride, padding)


def _forward(
    images: jax.Array, kernel: jax.Array, stride: int, padding: tuple[int, int]
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _plainly(images, kernel, stride, padding), (images, kernel)


def _backward(
    stride: int,
    padding: tuple[int, int],
    saved: tuple[jax.Array, jax.Array],
    gradient: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images, kernel = saved
    plainly = partial(_plainly, kernel=kernel, stride=stride, padding=padding)
    (of_images,) = jax.linear_transpose(plainly, images)(gradient)  # Nobody uses conv1's.
    of_kernel = lax.platform_dependent(
        images,
        kernel,
        gradient,
        cpu=partial(_kernel_gradient_on_cpu, stride=stride, padding=padding),
        default=partial(_plain_kernel_gradient, stride=stride, padding=padding),
    )
    return of_images, of_kernel


_convolve.defvjp(_forward, _backward)


def _plainly(
    images: jax.Array, kernel: jax.Array, stride: int, padding: tuple[int, int]
) -> jax.Array:
    return lax.conv_general_dilated(
        images, kernel, (stride, stride), (padding, padding), dimension_numbers=_DIMENSIONS
    )


def _plain_kernel_gradient(
    images: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    stride: int,
    padding: tuple[int, int],
) -> jax.Array:
    plainly = partial(_plainly, images, stride=stride, padding=padding)
    return jax.linear_transpose(plainly, kernel)(gradient)[0]


def _kernel_gradient_on_cpu(
    images: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    stride: int,
    padding: tuple[int, int],
) -> jax.Array:
    """Make the stride 1, by blocks of pixels, and sum patches times gradient."""
    blocks = _images_to_blocks(images, kernel.shape[:2], gradient.shape[1:3], stride, padding)
    to_blocks = partial(_kernel_to_blocks, stride=stride)
    windows = jax.eval_shape(to_blocks, kernel)
    of_windows = _sum_over_images(blocks, gradient, windows.shape[:2])
    of_windows = of_windows.reshape(windows.shape).astype(kernel.dtype)
    return jax.linear_transpose(to_blocks, kernel)(of_windows)[0]


def _kernel_to_blocks(kernel: jax.Array, stride: int) -> jax.Array:
    """Turn a strided kernel into one of stride 1 over blocks of `stride` x `stride` pixels.

    conv1's 11x11 kernel over 3 channels with stride 4 becomes 3x3 over 48, its last row and column
    zeros.
    """
    height, width, channels, features = kernel.shape
    rows, columns = -(-height // stride), -(-width // stride)
    missing = (0, rows * stride - height), (0, columns * stride - width)
    padded = jnp.pad(kernel, (*missing, (0, 0), (0, 0)))
    split = padded.reshape(rows, stride, columns, stride, channels, features)
    return split.swapaxes(1, 2).reshape(rows, columns, stride**2 * channels, features)


def _images_to_blocks(
    images: jax.Array,
    window: tuple[int, ...],
    size: tuple[int, ...],
    stride: int,
    padding: tuple[int, int],
) -> jax.Array:
    """Pad images and make each block of pixels one pixel: [B, H, W, C] -> [B, h, w, stride²·C].

    Args:
        images: before padding.
        window: sides of the strided kernel.
        size: of the convolution's output.
        stride: side of the blocks.
        padding: zeros before and after each spatial side.
    """
    batch, *sides, channels = images.shape
    rows, columns = (
        count - 1 + -(-part // stride) for count, part in zip(size, window, strict=True)
    )
    # What no window reads is cut off, by a negative padding.
    edges = [
        (padding[0], blocks * stride - padding[0] - side, 0)
        for blocks, side in zip((rows, columns), sides, strict=True)
    ]
    padded = lax.pad(images, jnp.zeros((), images.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    split = padded.reshape(batch, rows, stride, columns, stride, channels)
    return split.swapaxes(2, 3).reshape(batch, rows, columns, stride**2 * channels)


def _sum_over_images(images: jax.Array, gradient: jax.Array, window: tuple[int, ...]) -> jax.Array:
    """Sum, image by image, patches times gradient, so that the patches stay in the cache.

    Returns:
        float32 [h·w·C, features].
    """

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        x, y = (lax.dynamic_slice_in_dim(rows, index, 1) for rows in (images, gradient))
        patches = _patches(x, window, y.shape[1:3])
        patches, y = (z.reshape(-1, z.shape[-1]) for z in (patches, y))
        return total + jnp.matmul(patches.T, y, preferred_element_type=jnp.float32)

    patch = window[0] * window[1] * images.shape[-1]
    start = jnp.zeros((patch, gradient.shape[-1]), jnp.float32)
    return lax.fori_loop(0, len(images), add, start)


def _patches(images: jax.Array, window: tuple[int, ...], size: tuple[int, ...]) -> jax.Array:
    """Lay each window out as channels: [B, H, W, C] -> [B, H', W', h·w·C]."""
    shifted = [
        images[:, row : row + size[0], column : column + size[1]]
        for row in range(window[0])
        for column in range(window[1])
    ]
    return jnp.concatenate(shifted, axis=-1)
