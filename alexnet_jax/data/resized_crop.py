"""The random resized crop of torchvision's recipes, on the device."""

import math
from functools import partial

import jax
import jax.numpy as jnp


def random_resized_crop(
    key: jax.Array, images: jax.Array, size: int, smallest_area: float, largest_ratio: float
) -> jax.Array:
    """Cut a box of random area and shape from each image and scale it to a square.

    As torchvision's RandomResizedCrop: the area is uniform between `smallest_area` (a fraction of
    the image) and the whole image, the logarithm of width / height is uniform up to that of
    `largest_ratio` either way. The first of ten such boxes that fits is taken, else the whole
    image. Bilinear, antialiased. uint8 [B, S, S, 3] -> float32 [B, size, size, 3], 0-255.
    """
    batch, side = images.shape[:2]
    top, left, height, width = _random_boxes(key, batch, side, smallest_area, largest_ratio)
    resize = jax.vmap(partial(_resize_weights, pixels=side, size=size))
    full = jax.lax.Precision.HIGHEST  # GPUs and TPUs would use 10 or 8 bits.
    rows = jnp.einsum(
        "boy,byxc->boxc", resize(top, height), images.astype(jnp.float32), precision=full
    )
    return jnp.einsum("bpx,boxc->bopc", resize(left, width), rows, precision=full)


def _random_boxes(
    key: jax.Array, count: int, side: int, smallest_area: float, largest_ratio: float
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Draw top, left, height and width, each float32 [count] of whole pixels."""
    area_key, ratio_key, top_key, left_key = jax.random.split(key, 4)
    tries = (count, 10)
    area = side**2 * jax.random.uniform(area_key, tries, minval=smallest_area, maxval=1.0)
    bound = math.log(largest_ratio)
    ratio = jnp.exp(jax.random.uniform(ratio_key, tries, minval=-bound, maxval=bound))
    widths, heights = jnp.round(jnp.sqrt(area * ratio)), jnp.round(jnp.sqrt(area / ratio))
    fits = (widths <= side) & (heights <= side)
    first = jnp.argmax(fits, axis=1)[:, None]
    found = jnp.any(fits, axis=1)
    width = jnp.where(found, jnp.take_along_axis(widths, first, 1)[:, 0], side)
    height = jnp.where(found, jnp.take_along_axis(heights, first, 1)[:, 0], side)
    top = jnp.floor(jax.random.uniform(top_key, (count,)) * (side - height + 1))
    left = jnp.floor(jax.random.uniform(left_key, (count,)) * (side - width + 1))
    return top, left, height, width


def _resize_weights(start: jax.Array, length: jax.Array, pixels: int, size: int) -> jax.Array:
    """Return triangle weights, [size, pixels], that scale pixels start..start+length to `size`.

    The triangle is as wide as the reduction requires, and is cut off at the edges of the box.
    """
    scale = length / size
    centers = start + (jnp.arange(size, dtype=jnp.float32)[:, None] + 0.5) * scale
    positions = jnp.arange(pixels, dtype=jnp.float32)[None] + 0.5
    weights = jnp.maximum(0, 1 - jnp.abs(positions - centers) / jnp.maximum(scale, 1))
    weights = jnp.where((positions > start) & (positions < start + length), weights, 0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)
