"""Mixup: training on weighted means of two images and of their labels (arXiv 1710.09412)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Mixed(NamedTuple):
    """A batch of means of two images."""

    images: jax.Array  # share·image + (1 - share)·other image.
    other_labels: jax.Array  # int32 [B], of the other images.
    share: jax.Array  # float32 [B], from 0.5 to 1.


def mix_images(key: jax.Array, images: jax.Array, labels: jax.Array, mixup: float) -> Mixed:
    """Mix each image with the one before it in the global batch, the first with the last.

    The larger of two shares from Beta(mixup, mixup) falls to the image whose place is kept: as many
    pairs in either order have this one, so the distribution of the pairs is that of the paper.

    Args:
        key: of the draws.
        images: float32 [B, S, S, 3].
        labels: int32 [B].
        mixup: both parameters of the Beta distribution: 1 is uniform, near 0 one image has almost
            all.
    """
    drawn = jax.random.beta(key, mixup, mixup, (len(images),), jnp.float32)
    share = jnp.maximum(drawn, 1 - drawn)
    weight = share[:, None, None, None]
    mixed = weight * images + (1 - weight) * jnp.roll(images, 1, axis=0)
    return Mixed(mixed, jnp.roll(labels, 1), share)
