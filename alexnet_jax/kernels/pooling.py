"""Max pooling as a maximum of slices; its gradient is no scatter, which CPUs run on one core."""

import itertools
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.kernels.normalization import widen


def max_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maximum over windows: [B, H, W, C] -> [B, H', W', C]."""
    return reduce(jnp.maximum, _pixels(x, window, stride))


def _pixels(x: jax.Array, window: int, stride: int) -> list[jax.Array]:
    """Return the first pixel of each window, then the second, and so on."""
    height, width = _between_first_pixels(x, window, stride)
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row, column in itertools.product(range(window), repeat=2)
    ]


def max_and_places(
    loop: Callable, x: jax.Array, window: int, stride: int
) -> tuple[jax.Array, tuple[jax.Array]]:
    """Return the maxima and the place of each in its window, int8; `loop` as `lax.fori_loop`."""
    height, width = _between_first_pixels(x, window, stride)

    def include_row(row: Any, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        largest, place = found
        rows = lax.dynamic_slice_in_dim(x, row, height, axis=1)[:, ::stride]
        for column in range(window):
            pixel = rows[:, :, column : column + width : stride]
            number = jnp.asarray(row * window + column, jnp.int8)
            place = jnp.where(pixel > largest, number, place)
            largest = jnp.maximum(largest, pixel)
        return largest, place

    first = x[:, :height:stride, :width:stride]
    largest, place = loop(0, window, include_row, (first, jnp.zeros(first.shape, jnp.int8)))
    return largest, (place,)


def max_pool_on_cpu(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maximum over windows; of numbers of 16 bits in a loop over float32 numbers.

    XLA's CPU backend converts numbers of 16 bits in every operation, and back. Outside of a loop it
    would compute each pixel, such as a normalized one, again for each window.
    """
    if x.dtype.itemsize > 2:
        return max_pool(x, window, stride)
    return max_and_places_on_cpu(x, window, stride)[0]


def max_and_places_on_cpu(
    x: jax.Array, window: int, stride: int
) -> tuple[jax.Array, tuple[jax.Array]]:
    """Return the maxima and their places.

    In a loop XLA's CPU backend computes each place once, not nine times within the gradient.
    """
    largest, places = max_and_places(lax.fori_loop, widen(x), window, stride)
    return largest.astype(x.dtype), places


def gradients_on_cpu(
    x: jax.Array, place: jax.Array, gradient: jax.Array, window: int, stride: int
) -> tuple[jax.Array]:
    """Return the gradient of the input, from sums of float32 numbers."""
    (total,) = gradients(widen(x), place, widen(gradient), window, stride)
    return (total.astype(x.dtype),)


def unrolled(first: int, end: int, body: Callable, value: Any) -> Any:
    """Compute as `lax.fori_loop` does, without a loop in the program."""
    return reduce(lambda value, index: body(index, value), range(first, end), value)


def gradients(
    x: jax.Array, place: jax.Array, gradient: jax.Array, window: int, stride: int
) -> tuple[jax.Array]:
    """Return the gradient of the input: that of each window at the place of its maximum."""
    covered = _between_first_pixels(x, window, stride)
    total = jnp.zeros_like(x)
    for number, offset in enumerate(itertools.product(range(window), repeat=2)):
        edges = [
            (first, side - size - first, stride - 1)
            for first, side, size in zip(offset, x.shape[1:3], covered, strict=True)
        ]
        # For each pixel the window in which it has this number, if there is one.
        of_window = partial(lax.pad, padding_config=[(0, 0, 0), *edges, (0, 0, 0)])
        holds = of_window(place, jnp.int8(-1)) == number
        total += jnp.where(holds, of_window(gradient, jnp.zeros((), x.dtype)), 0)
    return (total,)


def _between_first_pixels(x: jax.Array, window: int, stride: int) -> tuple[int, ...]:
    """Return the rows and columns from the first window's first pixel to the last's, inclusive."""
    return tuple((side - window) // stride * stride + 1 for side in x.shape[1:3])
