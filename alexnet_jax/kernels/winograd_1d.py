"""Convolution with windows of five columns: 8 multiplications where the plain sum has 20.

Winograd's F(4, 5) along the rows of an image, and the plain sum over the rows of a window: strips
of eight pixels, four pixels apart, are transformed, convolved each with its column of the kernel,
and transformed back to four results. In both directions at once the transforms would eat what they
save.

Results differ from float64's by 2e-6 to 4e-6 of the largest, where the plain sum's do by 5e-7.

On two cores, batch 32, in turn with the plain sums: a step of `owt` 394 ms instead of 459, its
forward pass 106 instead of 119; `original` 519 of 590 and 139 of 152; `single_tower` 639 of 733 and
170 of 207.
"""

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.kernels.im2col import sum_over_images
from alexnet_jax.kernels.tiled_conv import Edges, in_bands
from alexnet_jax.kernels.toom_cook import Matrix, matrices, transform, transposed, windows

_WINDOW = 5
_RESULTS = 4
_OF_IMAGES, _OF_KERNEL, _OF_PRODUCTS = matrices((0, 1, -1, 2, -2, 0.5, -0.5), _RESULTS)
_BANDS = 3  # Of each of the eight convolutions; four to seven are as fast, and compile longer.
_TOGETHER = 4  # At most so many images in a product of the kernel's gradient.


def convolve(
    images: jax.Array, kernel: jax.Array, edges: Edges, precision: lax.Precision
) -> jax.Array:
    """Convolve with stride 1.

    Args:
        images: [B, H, W, C].
        kernel: [h, 5, C, features].
        edges: zeros above and below, left and right of the images.
        precision: of the products.

    Returns:
        [B, H + sum(edges[0]) - h + 1, W + sum(edges[1]) - 4, features].
    """
    rows, (left, right) = edges
    width = images.shape[2] + left + right - _WINDOW + 1
    strips = _strips(images, rows, left, width, _OF_IMAGES)
    columns = transform(jnp.split(kernel, _WINDOW, axis=1), _OF_KERNEL)
    products = [
        in_bands(x, w, 1, ((0, 0), (0, 0)), _BANDS, precision)
        for x, w in zip(strips, columns, strict=True)
    ]
    bands = [
        jnp.stack(transform(band, _OF_PRODUCTS), axis=3) for band in zip(*products, strict=True)
    ]
    flat = [band.reshape(*band.shape[:2], -1, band.shape[-1])[:, :, :width] for band in bands]
    return jnp.concatenate(flat, axis=1)


def kernel_gradient(
    images: jax.Array, gradient: jax.Array, edges: Edges, precision: lax.Precision
) -> jax.Array:
    """Return the gradient of `convolve`'s kernel, given that of its result.

    The same transforms backward, and a product of each strip's pixels under the rows of a window
    with the gradient: on two cores, batch 32, conv2 of `single_tower` 43 ms where the plain sum
    takes 88.
    """
    rows, (left, _) = edges
    size = gradient.shape[1:3]
    height = images.shape[1] + sum(rows) - size[0] + 1
    channels, features = images.shape[-1], gradient.shape[-1]

    def multiply(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        of_images = _strips(x, rows, left, size[1], _OF_IMAGES)
        of_gradient = _strips(y, (0, 0), 0, size[1], transposed(_OF_PRODUCTS))
        under_rows = [
            jnp.concatenate(windows(strips, height, 1, size[0], axis=1), axis=-1)
            for strips in of_images
        ]
        return [
            jnp.matmul(
                pixels.reshape(-1, height * channels).T,
                above.reshape(-1, features),
                precision=precision,
            )
            for pixels, above in zip(under_rows, of_gradient, strict=True)
        ]

    start = jnp.zeros((height * channels, features), images.dtype)
    sums = sum_over_images(multiply, images, gradient, [start] * len(_OF_IMAGES), _TOGETHER)
    columns = jnp.stack(transform(sums, transposed(_OF_KERNEL)))
    return columns.reshape(_WINDOW, height, channels, features).swapaxes(0, 1)


def _strips(
    images: jax.Array, rows: tuple[int, int], left: int, width: int, matrix: Matrix
) -> list[jax.Array]:
    """Transform the strips four pixels apart, as many pixels wide as the matrix.

    Args:
        images: [B, H, W, C].
        rows: zeros above and below.
        left: zeros to the left; what is to the right is as the strips need it.
        width: of the results.
        matrix: of the transform.

    Returns:
        eight of [B, H + sum(rows), strips, C].
    """
    across, count = len(matrix[0]), -(-width // _RESULTS)
    right = _RESULTS * (count - 1) + across - left - images.shape[2]
    padding = ((0, 0, 0), (*rows, 0), (left, right, 0), (0, 0, 0))
    padded = lax.pad(images, jnp.zeros((), images.dtype), padding)
    return transform(windows(padded, across, _RESULTS, count, axis=2), matrix)
