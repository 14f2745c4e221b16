"""Convolutions with few multiplications: Winograd's F(m, r), m results of a window of r numbers.

They take m + r - 1 multiplications instead of m·r: numbers and window are transformed, multiplied
one by one, and transformed back. In networks each product is a sum over channels, and so a matrix
product or a convolution (Lavin & Gray, 2015, arXiv 1509.09308). The functions have stride 1.
"""

from collections.abc import Sequence
from functools import cache, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.polynomial.polynomial import polyfromroots

from alexnet_jax.kernels.conv import Geometry, bands, pad
from alexnet_jax.kernels.im2col import sum_over_images

_NO_EDGES = (0, 0), (0, 0)


def matrices(points: Sequence[float], results: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Bᵀ, G and Aᵀ of Lavin & Gray, by Toom's and Cook's construction.

    They transform the numbers, the window and the products. G and A take polynomials' values at
    the m + r - 2 points and at infinity, Bᵀ finds a polynomial from its values. With zero and
    powers of two as points only G has numbers that must be rounded.
    """
    others = [[q for q in points if q != p] for p in points]
    scales = [np.prod([p - q for q in rest]) for p, rest in zip(points, others, strict=True)]
    of_numbers = [*([*polyfromroots(rest), 0.0] for rest in others), polyfromroots(points)]
    of_window = _values(points, len(points) + 2 - results) / np.array([*scales, 1.0])[:, None]
    return np.array(of_numbers), of_window, _values(points, results).T


def _values(points: Sequence[float], coefficients: int) -> np.ndarray:
    """Return the matrix that takes a polynomial's values at the points and at infinity."""
    powers = np.vander(np.array(points, np.float64), coefficients, increasing=True)
    return np.vstack([powers, np.eye(coefficients)[-1]])


def transform(parts: Sequence[jax.Array], matrix: np.ndarray) -> list[jax.Array]:
    """Multiply the matrix with a vector of arrays of one shape, in the order of each row.

    Operations of `lax` take a fraction of the time of `jnp`'s to trace. A term that several rows
    have is computed once, whatever its sign where it does not lead the row.
    """

    @cache
    def constant(factor: float) -> jax.Array:
        return lax.full_like(parts[0], factor)

    @cache
    def term(factor: float, index: int) -> jax.Array:
        return parts[index] if factor == 1 else lax.mul(parts[index], constant(factor))

    def include(total: jax.Array, following: tuple[float, int]) -> jax.Array:
        factor, index = following
        operation = lax.add if factor > 0 else lax.sub
        return operation(total, term(abs(factor), index))

    rows = [[(factor, index) for index, factor in enumerate(row) if factor] for row in matrix]
    return [reduce(include, row[1:], term(*row[0])) for row in rows]


def windows(pixels: jax.Array, across: int, step: int, count: int, axis: int) -> list[jax.Array]:
    """Return the first number of each of `count` windows, `step` apart, then the second."""
    last = step * (count - 1) + 1
    return [lax.slice_in_dim(pixels, first, first + last, step, axis) for first in range(across)]


# Windows of five columns, F(4, 5): 8 multiplications where the plain sum has 20. The rows of a
# window are summed plainly; in both directions the transforms would cost what they save. Results
# differ from float64's by 2e-6 to 4e-6 of the largest, the plain sum's by 5e-7.
_PIXELS_5, _KERNEL_5, _PRODUCTS_5 = matrices((0, 1, -1, 2, -2, 0.5, -0.5), results=4)
_BANDS = 3  # Of each of the eight convolutions; four to seven are as fast, and compile longer.
_IMAGES_5 = 4  # Images at most in a product of the kernel's gradient.


def convolve_5(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve [B, H, W, C] with [h, 5, C, features]: strips of pixels with kernels one wide."""
    rows, (left, right) = geometry.edges
    width = images.shape[2] + left + right - 4
    strips = _strips(images, rows, left, width, _PIXELS_5)
    columns = transform(jnp.split(kernel, 5, axis=1), _KERNEL_5)
    narrow = geometry._replace(window=(geometry.window[0], 1), edges=_NO_EDGES)
    products = [bands(*pair, narrow, _BANDS) for pair in zip(strips, columns, strict=True)]
    whole = [
        jnp.stack(transform(band, _PRODUCTS_5), axis=3) for band in zip(*products, strict=True)
    ]
    flat = [band.reshape(*band.shape[:2], -1, band.shape[-1])[:, :, :width] for band in whole]
    return jnp.concatenate(flat, axis=1)


def kernel_gradient_5(images: jax.Array, gradient: jax.Array, geometry: Geometry) -> jax.Array:
    """Return the gradient of the kernel: the transforms backward, products of matrices."""
    rows, (left, _) = geometry.edges
    size, height = gradient.shape[1:3], geometry.window[0]
    channels, features = images.shape[-1], gradient.shape[-1]

    def multiply(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        products = []
        pairs = zip(
            _strips(x, rows, left, size[1], _PIXELS_5),
            _strips(y, (0, 0), 0, size[1], _PRODUCTS_5.T),
            strict=True,
        )
        for strips, above in pairs:
            pixels = jnp.concatenate(windows(strips, height, 1, size[0], axis=1), axis=-1)
            flat = pixels.reshape(-1, height * channels), above.reshape(-1, features)
            products.append(jnp.matmul(flat[0].T, flat[1], precision=geometry.precision))
        return products

    start = [jnp.zeros((height * channels, features), images.dtype)] * len(_PIXELS_5)
    sums = sum_over_images(multiply, images, gradient, start, _IMAGES_5)
    columns = jnp.stack(transform(sums, _KERNEL_5.T))
    return columns.reshape(5, height, channels, features).swapaxes(0, 1)


def _strips(
    images: jax.Array, rows: tuple[int, int], left: int, width: int, matrix: np.ndarray
) -> list[jax.Array]:
    """Transform the strips four pixels apart, as wide as the matrix: eight of [B, H', strips, C].

    `rows` and `left` are zeros above and below and to the left; to the right there are as many as
    `width` results need.
    """
    across, count = matrix.shape[1], -(-width // 4)
    padded = pad(images, rows, (left, 4 * (count - 1) + across - left - images.shape[2]))
    return transform(windows(padded, across, 4, count, axis=2), matrix)


# Windows of 3x3, F(2x2, 3x3): 16 multiplications where the plain sum has 36. The transforms only
# add, subtract and halve, so results are rounded as the plain sum's are: both differ by 5e-7 to
# 9e-7 of the largest from float64. Larger tiles save more multiplications and lose a digit.
_PIXELS_3, _KERNEL_3, _PRODUCTS_3 = matrices((0, 1, -1), results=2)  # In one direction.
_IMAGES_3 = 25  # Images at most in a product of the kernel's gradient: 16 of 32, 25 of 100.


def convolve_3x3(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve [B, H, W, C] with [3, 3, C / groups, features]: sixteen products of matrices."""
    sides = zip(images.shape[1:3], geometry.edges, strict=True)
    height, width = (side + sum(edge) - 2 for side, edge in sides)
    size = -(-height // 2), -(-width // 2)
    tiles = _tiles(images, geometry, size, _PIXELS_3)
    by_group = jnp.moveaxis(kernel.reshape(*kernel.shape[:3], geometry.groups, -1), 3, 2)
    kernels = _transform_twice(list(by_group), _KERNEL_3)
    products = [
        jnp.matmul(*pair, precision=geometry.precision) for pair in zip(tiles, kernels, strict=True)
    ]
    results = jnp.stack(_transform_twice(products, _PRODUCTS_3))
    results = results.reshape(2, 2, geometry.groups, len(images), *size, -1)
    whole = results.transpose(3, 4, 0, 5, 1, 2, 6)
    return whole.reshape(len(images), 2 * size[0], 2 * size[1], -1)[:, :height, :width]


def kernel_gradient_3x3(images: jax.Array, gradient: jax.Array, geometry: Geometry) -> jax.Array:
    """Return the gradient of the kernel: the transforms backward, sums over tiles."""
    size = -(-gradient.shape[1] // 2), -(-gradient.shape[2] // 2)

    def multiply(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        of_images = _tiles(x, geometry, size, _PIXELS_3)
        of_gradient = _tiles(y, geometry._replace(edges=_NO_EDGES), size, _PRODUCTS_3.T)
        return [
            jnp.einsum("agtc,agtf->agcf", *pair, precision=geometry.precision)
            for pair in zip(of_images, of_gradient, strict=True)
        ]

    groups = geometry.groups
    channels, features = images.shape[-1] // groups, gradient.shape[-1] // groups
    start = [jnp.zeros((4, groups, channels, features), images.dtype)] * 4
    sums = sum_over_images(multiply, images, gradient, start, _IMAGES_3)
    by_group = jnp.stack(_transform_twice(sums, _KERNEL_3.T))
    return jnp.moveaxis(by_group, 2, 3).reshape(3, 3, channels, -1)


def _tiles(
    images: jax.Array, geometry: Geometry, size: tuple[int, int], matrix: np.ndarray
) -> list[jax.Array]:
    """Transform the windows two pixels apart: four of [4, groups, B·h·w, C / groups].

    `size` is h and w, the windows in each direction: zeros below and right are as they need them.
    """
    across = matrix.shape[1]
    ends = [
        (before, 2 * count - 2 + across - before - side)
        for (before, _), count, side in zip(geometry.edges, size, images.shape[1:3], strict=True)
    ]
    padded = pad(images, *ends)
    by_group = jnp.moveaxis(padded.reshape(*padded.shape[:3], geometry.groups, -1), 3, 0)
    rows = transform(windows(by_group, across, 2, size[0], axis=2), matrix)
    tiles = [jnp.stack(transform(windows(row, across, 2, size[1], axis=3), matrix)) for row in rows]
    return [row.reshape(4, geometry.groups, -1, row.shape[-1]) for row in tiles]


def _transform_twice(rows: Sequence[jax.Array], matrix: np.ndarray) -> list[jax.Array]:
    """Transform along the list, then along the arrays' first axis."""
    return [jnp.stack(transform(list(row), matrix)) for row in transform(rows, matrix)]
