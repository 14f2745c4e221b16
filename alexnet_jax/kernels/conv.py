"""XLA's convolution, whole or in bands of rows, and the gradients of convolutions."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

_BANDS = 14  # XLA's CPU backend runs operations side by side where more than eight are ready.


class Geometry(NamedTuple):
    """How [B, H, W, C] are convolved with [h, w, C / groups, features]."""

    window: tuple[int, int]  # h and w.
    stride: int  # In both directions.
    edges: tuple[tuple[int, int], ...]  # Zeros above, below, left, right; < 0: cuts.
    groups: int
    precision: lax.Precision


def by_group(form: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Let a form without groups compute each group, in both arrays' last axes, by itself.

    XLA's CPU backend has no good gradient of a grouped convolution.
    """

    def compute(left: jax.Array, right: jax.Array, geometry: Geometry) -> jax.Array:
        parts = (jnp.split(whole, geometry.groups, axis=-1) for whole in (left, right))
        alone = geometry._replace(groups=1)
        results = [form(*pair, alone) for pair in zip(*parts, strict=True)]
        return results[0] if len(results) == 1 else jnp.concatenate(results, axis=-1)

    return compute


def pad(images: jax.Array, rows: tuple[int, int], columns: tuple[int, int]) -> jax.Array:
    """Add zeros before and after the rows and the columns; a negative number cuts off pixels."""
    padding = ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0))
    return lax.pad(images, jnp.zeros((), images.dtype), padding)


def convolve_at_once(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve with one operation, which XLA divides into the groups."""
    # One of XLA's kernels for CPUs reads past images whose first rows are cut off and whose last
    # are followed by zeros (jax 0.10.2, openxla/xla#48713): such a side is cut and padded before.
    edges = geometry.edges
    copied = [edge if edge[0] < 0 < edge[1] else (0, 0) for edge in edges]
    if any(map(any, copied)):
        images = pad(images, *copied)
    return lax.conv_general_dilated(
        images,
        kernel,
        (geometry.stride, geometry.stride),
        [(0, 0) if any(done) else edge for done, edge in zip(copied, edges, strict=True)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
        precision=geometry.precision,
    )


convolve = by_group(convolve_at_once)


def bands(images: jax.Array, kernel: jax.Array, geometry: Geometry, most: int) -> list[jax.Array]:
    """Convolve at most so many bands of rows, without groups: the result from top to bottom.

    XLA divides a convolution among cores by blocks of 64 features: few features leave cores idle.
    """
    (above, below), sides = geometry.edges
    height, stride, window = images.shape[1], geometry.stride, geometry.window[0]
    rows = (height + above + below - window) // stride + 1
    count = min(most, rows)
    results = []
    for first, end in pairwise(rows * band // count for band in range(count + 1)):
        before, after = first * stride, (end - 1) * stride + window
        edges = (above - before, after - above - height), sides
        results.append(convolve_at_once(images, kernel, geometry._replace(edges=edges)))
    return results


def convolve_in_bands(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve, without groups, so that all cores of a CPU have work."""
    return jnp.concatenate(bands(images, kernel, geometry, _BANDS), axis=1)


def gradients_on_cpu(
    convolve_again: Callable[..., jax.Array],
    kernel_gradient: Callable[..., jax.Array],
    images: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    geometry: Geometry,
) -> tuple[jax.Array, jax.Array]:
    """Return the gradient of the images, a convolution with the turned kernel, and the kernel's."""
    height, width, channels, _ = kernel.shape
    if geometry.stride == 1:
        edges = tuple(
            (side - 1 - before, side - 1 - after)
            for side, (before, after) in zip(geometry.window, geometry.edges, strict=True)
        )
        by_group = kernel[::-1, ::-1].reshape(height, width, channels, geometry.groups, -1)
        turned = by_group.swapaxes(2, 4).reshape(height, width, -1, geometry.groups * channels)
        of_images = convolve_again(gradient, turned, geometry._replace(edges=edges))
    else:  # Only conv1 has a stride, and nothing uses the gradient of the pixels.
        pull = jax.linear_transpose(lambda x: convolve(x, kernel, geometry), images)
        (of_images,) = pull(gradient)
    return of_images, kernel_gradient(images, gradient, geometry)
