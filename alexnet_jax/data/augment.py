"""Augmentation on the device: crop, flip, colour noise, mean (paper §4.1).

Draws have the shape of the global batch. With JAX's partitionable random numbers an image's draw
then depends on the key and its position alone, however the batch is sharded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing, center_crop
from alexnet_jax.data.resized_crop import random_resized_crop


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The steps that turn training images into the network's input.

    Attributes:
        preprocessing: applied to the crops.
        crop_size: side of the crops.
        crop: (key, images, size) -> crops, such as `random_crop`; None for the centre.
        flip: whether to mirror half of the images.
        group_size: how many consecutive images are mirrored alike.
        pca_eigenvectors: float32 [3, 3]: columns are the eigenvectors of the RGB covariance.
        pca_std: float32 [3]: standard deviations along them, on the 0-255 scale.
        color_noise: completed steps -> standard deviation of the colour shift, in units of
            `pca_std`; None for no colour noise.
        color_rescale: divide shifted images by 1 + color_noise, as the 2012 code does to keep the
            scale of evaluation; the paper does not mention it.
    """

    preprocessing: Preprocessing
    crop_size: int
    crop: Callable[[jax.Array, jax.Array, int], jax.Array] | None
    flip: bool
    group_size: int
    pca_eigenvectors: np.ndarray
    pca_std: np.ndarray
    color_noise: Callable[[jax.Array], jax.Array] | None
    color_rescale: bool

    def __call__(self, key: jax.Array, images: jax.Array, step: jax.Array) -> jax.Array:
        """Augment the batch of `step`: uint8 [B, S, S, 3] -> float32 [B, crop, crop, 3]."""
        crop_key, flip_key, color_key = jax.random.split(key, 3)
        if self.crop is None:
            images = center_crop(images, self.crop_size)
        else:
            images = self.crop(crop_key, images, self.crop_size)
        if self.flip:
            images = random_flip(flip_key, images, self.group_size)
        if self.color_noise is None:
            return self.preprocessing(images)
        noise = self.color_noise(step)
        shift = color_shift(color_key, len(images), self.pca_eigenvectors, self.pca_std)
        shifted = images.astype(jnp.float32) + noise * shift[:, None, None, :]
        scale = 1.0 + noise if self.color_rescale else 1.0
        return self.preprocessing(shifted) / scale


def random_crop(key: jax.Array, images: jax.Array, size: int, group_size: int) -> jax.Array:
    """Cut a square from each image at a random offset: [B, S, S, C] -> [B, size, size, C].

    All offsets from 0 to S - size, both included, are equally likely in each direction. The 2012
    code uses one offset for `group_size` = 32 consecutive images, for speed.
    """
    batch, side, _, channels = images.shape
    offsets = jax.random.randint(key, (-(-batch // group_size), 2), 0, side - size + 1, jnp.int32)
    offsets = jnp.repeat(offsets, group_size, axis=0)[:batch]

    def cut(image: jax.Array, offset: jax.Array) -> jax.Array:
        start = (offset[0], offset[1], jnp.int32(0))
        return jax.lax.dynamic_slice(image, start, (size, size, channels))

    return jax.vmap(cut)(images, offsets)


def random_flip(key: jax.Array, images: jax.Array, group_size: int) -> jax.Array:
    """Mirror images left to right with probability 1/2, `group_size` consecutive images alike."""
    mirrored = jax.random.bernoulli(key, 0.5, (-(-len(images) // group_size), 1, 1, 1))
    mirrored = jnp.repeat(mirrored, group_size, axis=0)[: len(images)]
    return jnp.where(mirrored, images[:, :, ::-1], images)


def color_shift(
    key: jax.Array, count: int, pca_eigenvectors: np.ndarray, pca_std: np.ndarray
) -> jax.Array:
    """Draw V(s ⊙ n) with n ~ N(0, I): one colour for each image, float32 [count, 3].

    As in the 2012 code, `pca_std` are standard deviations. The paper's text says eigenvalues, which
    are far too large on the 0-255 scale.
    """
    normal = jax.random.normal(key, (count, 3))
    full = jax.lax.Precision.HIGHEST  # As in resized_crop.py.
    return jnp.matmul(normal * pca_std[None], jnp.asarray(pca_eigenvectors).T, precision=full)


# By the name in config.augment.crop: (key, images, size) -> crops, and parameters that are keys of
# config.augment. None is the centre crop.
CROPS: dict[str, Callable[..., jax.Array] | None] = {
    "random": random_crop,
    "random_resized": random_resized_crop,
    "center": None,
}
