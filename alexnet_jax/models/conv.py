"""Convolution, lowered on each platform in the way that is fastest there."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import lax

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_BANDS = 14  # More than the eight operations that XLA's CPU backend wants to see at once.
_WORTH_BANDS = 2 * 10**7  # Multiply-adds an image: a quarter of a millisecond of one core.

_Edges = Sequence[tuple[int, int]]  # Zeros above and below, left and right.


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
    """XLA's convolution, on GPUs cuDNN's; on CPUs in bands if need be, its gradients our own."""
    plainly, in_bands = (
        partial(form, stride=stride, edges=(padding, padding)) for form in (_plainly, _in_bands)
    )
    if not _leaves_cores_idle(images, kernel, stride):
        return plainly(images, kernel)
    return lax.platform_dependent(images, kernel, cpu=in_bands, default=plainly)


def _forward(
    images: jax.Array, kernel: jax.Array, stride: int, padding: tuple[int, int]
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(images, kernel, stride, padding), (images, kernel)


def _backward(
    stride: int,
    padding: tuple[int, int],
    saved: tuple[jax.Array, jax.Array],
    gradient: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images, kernel = saved
    on_cpu, plain = (
        partial(form, stride=stride, padding=padding)
        for form in (_gradients_on_cpu, _plain_gradients)
    )
    return lax.platform_dependent(images, kernel, gradient, cpu=on_cpu, default=plain)


_convolve.defvjp(_forward, _backward)


def _plainly(images: jax.Array, kernel: jax.Array, stride: int, edges: _Edges) -> jax.Array:
    return lax.conv_general_dilated(
        images, kernel, (stride, stride), edges, dimension_numbers=_DIMENSIONS
    )


def _leaves_cores_idle(images: jax.Array, kernel: jax.Array, stride: int) -> bool:
    """Tell whether XLA would leave cores of a CPU idle, and for long enough to mend it."""
    pixels = images.shape[1] * images.shape[2] // stride**2  # The batch may be of any size.
    return kernel.shape[-1] < 256 and pixels * kernel.size >= _WORTH_BANDS


def _in_bands(images: jax.Array, kernel: jax.Array, stride: int, edges: _Edges) -> jax.Array:
    """Convolve bands of rows, each by itself: the same bits, on all cores of a CPU.

    XLA divides a convolution by blocks of 64 features: fewer than 128 run on one core, 192 on two
    for half of the time. But it runs operations side by side where more than eight are ready. Edges
    below zero leave out the rows that a band does not read, without a copy. On two cores, batch 32:
    conv1 of `original` 29 ms instead of 45; in each group conv4 11 instead of 14, the gradient of
    conv2's images 25 instead of 39.
    """
    (above, below), sides = edges
    height, window = images.shape[1], kernel.shape[0]
    rows = (height + above + below - window) // stride + 1
    count = min(_BANDS, rows)
    bands = []
    for first, end in pairwise(rows * band // count for band in range(count + 1)):
        before, after = first * stride, (end - 1) * stride + window
        cut = (above - before, after - above - height)
        bands.append(_plainly(images, kernel, stride, (cut, sides)))
    return jnp.concatenate(bands, axis=1)


def _plain_gradients(
    images: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    plainly = partial(_plainly, stride=stride, edges=(padding, padding))
    return jax.vjp(plainly, images, kernel)[1](gradient)


def _gradients_on_cpu(
    images: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of images and kernel.

    On two cores, batch 32, XLA's gradient of the kernel took 168 ms for conv1, ours, then image by
    image, 42; 55 and 36 for conv3; for conv2 100, half of them to lay the images out anew, and 70.
    """
    plainly = partial(_plainly, kernel=kernel, stride=stride, edges=(padding, padding))
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    if stride == 1 and _leaves_cores_idle(gradient, turned, stride):
        edges = [(side - 1 - padding[0], side - 1 - padding[1]) for side in kernel.shape[:2]]
        of_images = _in_bands(gradient, turned, 1, edges)
    else:
        (of_images,) = jax.linear_transpose(plainly, images)(gradient)  # Nobody uses conv1's.
    return of_images, _kernel_gradient_on_cpu(images, kernel, gradient, stride, padding)


def _kernel_gradient_on_cpu(
    images: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: tuple[int, int]
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
    """Sum patches times gradient, two images and a row of the window at a time.

    So the patches stay in the cache, and a sum is added to half as often as image by image. On two
    cores, batch 32: conv2 of `single_tower` 103 ms instead of 127 for an image and the whole window
    at a time, conv4 56 instead of 71. Four images at a time are slower.

    Returns:
        float32 [h·w·C, features].
    """
    height, width = gradient.shape[1:3]
    together = 2 - len(images) % 2  # One where their number is odd.

    def add(index: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        x, y = (
            lax.dynamic_slice_in_dim(whole, index * together, together)
            for whole in (images, gradient)
        )
        y = y.reshape(-1, y.shape[-1])
        return tuple(
            total + jnp.matmul(patches.T, y, preferred_element_type=jnp.float32)
            for total, patches in zip(sums, _patches(x, window, (height, width)), strict=True)
        )

    start = jnp.zeros((window[1] * images.shape[-1], gradient.shape[-1]), jnp.float32)
    sums = lax.fori_loop(0, len(images) // together, add, (start,) * window[0])
    return jnp.concatenate(sums)


def _patches(images: jax.Array, window: tuple[int, ...], size: tuple[int, ...]) -> list[jax.Array]:
    """Lay the pixels under each row of the windows out: a [B·H'·W', w·C] for each row."""
    rows = [images[:, row : row + size[0]] for row in range(window[0])]
    columns = [slice(column, column + size[1]) for column in range(window[1])]
    laid_out = [jnp.concatenate([row[:, :, part] for part in columns], axis=-1) for row in rows]
    return [row.reshape(-1, row.shape[-1]) for row in laid_out]
