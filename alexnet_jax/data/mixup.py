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

    Shares are drawn from Beta(mixup, mixup). Each image keeps the larger of the two shares. Either
    order of a pair is equally likely, so the pairs are distributed as in the paper.

    Args:
        key: Random key of the shares.
        images: float32 [B, S, S, 3].
        labels: int32 [B].
        mixup: Both parameters of the Beta distribution. 1 is uniform; near 0 one share is almost 1.
    """
    drawn = jax.random.beta(key, mixup, mixup, (len(images),), jnp.float32)
    share = jnp.maximum(drawn, 1 - drawn)
    weight = share[:, None, None, None]
    mixed = weight * images + (1 - weight) * jnp.roll(images, 1, axis=0)
    return Mixed(mixed, jnp.roll(labels, 1), share)
