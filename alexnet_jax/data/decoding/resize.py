"""Scaling the center square of an image with an antialiasing triangle filter, in compiled loops.

The result is bit-equal to Pillow's 8-bit BILINEAR resampling: weights in fixed point with 22
fractional bits, first the columns, rounded to 8 bits, then the rows. Pillow takes six times as
long, and from version 13 it picks the order of the two passes by the image's shape.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from alexnet_jax.data.decoding.compiled import compiled
from alexnet_jax.data.decoding.reused_memory import thread_array

_FRACTION_BITS = 22  # With 8 bits of a pixel and 2 spare bits they fill an int32.
_HALF = np.int32(1 << (_FRACTION_BITS - 1))
_TAPS_AT_ONCE = 4  # Terms of the sum that `_weighted_sums` adds together.


class Windows(NamedTuple):
    """The `size` weighted sums that scale one axis."""

    start: int  # First pixel of the axis that is needed.
    stop: int  # The one after the last.
    rows: np.ndarray  # int32 [size, taps]: the pixels of each sum, counted from `start`.
    weights: np.ndarray  # int32 [size, taps]: their weights in units of 2^-22.


def scale_center(pixels: np.ndarray, size: int) -> np.ndarray:
    """Scale the center square of an image; threads may call this at once.

    The filter reaches beyond the square's edge into the image, as if the whole image were scaled
    and then cropped.

    Args:
        pixels: uint8 [H, W, 4], C-contiguous: RGB and an unused byte.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 4], likewise; overwritten by the same thread's next call.
    """
    height, width, _ = pixels.shape
    side = min(height, width)
    across, down = windows(width, side, size), windows(height, side, size)
    height, width = down.stop - down.start, across.stop - across.start
    # Sums over rows vectorize, sums over columns do not, so columns are transposed to rows.
    columns = thread_array("rows", (width, height), np.uint32)
    _transpose(pixels.view(np.uint32)[..., 0], down.start, across.start, columns)
    narrow = thread_array("sums", (size, height), np.uint32)
    _weighted_sums(columns.view(np.uint8), across.rows, across.weights, narrow.view(np.uint8))
    rows = thread_array("rows", (height, size), np.uint32)
    _transpose(narrow, 0, 0, rows)
    square = thread_array("sums", (size, size, 4), np.uint8)
    _weighted_sums(rows.view(np.uint8), down.rows, down.weights, square.reshape(size, 4 * size))
    return square


@lru_cache(maxsize=1024)
def windows(length: int, side: int, size: int) -> Windows:
    """Return the sums that scale the middle `side` pixels of an axis of `length` to `size`."""
    scale = side / size
    reach = max(scale, 1.0)
    centers = (length - side) / 2 + (np.arange(size) + 0.5) * scale
    first = np.maximum((centers - reach + 0.5).astype(np.int64), 0)
    stop = np.minimum((centers + reach + 0.5).astype(np.int64), length)
    taps = int((stop - first).max())
    positions = first[:, None] + np.arange(taps + -taps % _TAPS_AT_ONCE)
    weights = np.maximum(1 - np.abs((positions - centers[:, None] + 0.5) * (1 / reach)), 0)
    weights[positions >= stop[:, None]] = 0
    weights /= np.add.accumulate(weights, axis=1)[:, -1:]  # Pillow's order of sums.
    start, end = int(first[0]), int(stop[-1])
    return Windows(
        start,
        end,
        (np.minimum(positions, end - 1) - start).astype(np.int32),
        (0.5 + weights * (1 << _FRACTION_BITS)).astype(np.int32),
    )


@compiled
def _transpose(source: np.ndarray, top: int, left: int, out: np.ndarray) -> None:
    """Fill out[x, y] with source[top + y, left + x]; any [rows, columns] of uint32."""
    width, height = out.shape
    blocks = height - height % 8  # Eight values fill half a cache line.
    for row in range(0, blocks, 8):
        for x in range(width):
            for y in range(8):
                out[x, row + y] = source[top + row + y, left + x]
    for y in range(blocks, height):
        for x in range(width):
            out[x, y] = source[top + y, left + x]


@compiled
def _weighted_sums(
    source: np.ndarray, rows: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    """Fill row i of `out` with the sum over k of weights[i, k] · source[rows[i, k]], rounded."""
    size, taps = weights.shape
    length = source.shape[1]
    sums = np.empty(length, np.int32)
    for i in range(size):
        sums[:] = _HALF
        for k in range(0, taps, 4):
            a, b = source[rows[i, k]], source[rows[i, k + 1]]
            c, d = source[rows[i, k + 2]], source[rows[i, k + 3]]
            u, v, w, z = weights[i, k], weights[i, k + 1], weights[i, k + 2], weights[i, k + 3]
            for x in range(length):
                # Numba would widen products to 64 bits and vectorize half as many.
                sums[x] += (
                    np.int32(a[x] * u)
                    + np.int32(b[x] * v)
                    + np.int32(c[x] * w)
                    + np.int32(d[x] * z)
                )
        for x in range(length):
            out[i, x] = sums[x] >> _FRACTION_BITS
