"""Convolution in bands of rows, each by itself, so that all cores of a CPU have work."""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import lax

Edges = Sequence[tuple[int, int]]  # Zeros above and below, left and right.


def at_once(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    edges: Edges,
    precision: lax.Precision,
) -> jax.Array:
    """Convolve with one operation: [B, H, W, C] with [h, w, C, features].

    Edges below zero leave out rows and columns. Where the first are left out and zeros follow the
    last, one of XLA's kernels for CPUs, that for few channels and features, reads past the images
    (jax 0.10.2, openxla/xla#48713): such a side is cut and padded before, with a copy.
    """
    first = [edge if edge[0] < 0 < edge[1] else (0, 0) for edge in edges]
    if any(map(any, first)):
        padding = ((0, 0, 0), *((*edge, 0) for edge in first), (0, 0, 0))
        images = lax.pad(images, jnp.zeros((), images.dtype), padding)
        edges = [(0, 0) if any(done) else edge for done, edge in zip(first, edges, strict=True)]
    return lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        edges,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def in_bands(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    edges: Edges,
    most: int,
    precision: lax.Precision,
) -> list[jax.Array]:
    """Convolve bands of rows, which one above the other are the whole.

    XLA divides a convolution by blocks of 64 features: fewer than 128 run on one core, 192 on two
    for half of the time. But it runs operations side by side where more than eight are ready. Edges
    below zero leave out the rows that a band does not read, without a copy. On two cores, batch 32:
    conv1 of `original` 29 ms instead of 45.

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C, features].
        stride: pixels from one window to the next, in both directions.
        edges: zeros above and below, left and right of the images.
        most: number of bands, where there are as many rows.
        precision: of the products.

    Returns:
        the bands from top to bottom, each [B, rows, W', features].
    """
    (above, below), sides = edges
    height, window = images.shape[1], kernel.shape[0]
    rows = (height + above + below - window) // stride + 1
    count = min(most, rows)
    bands = []
    for first, end in pairwise(rows * band // count for band in range(count + 1)):
        before, after = first * stride, (end - 1) * stride + window
        cut = (above - before, after - above - height)
        bands.append(at_once(images, kernel, stride, (cut, sides), precision))
    return bands
