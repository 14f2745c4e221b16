"""Augmentation on the device: crop, flip, color noise, mean (paper §4.1).

Draws have the shape of the global batch. With JAX's partitionable random numbers an image's draw
then depends on the key and its position alone, however the batch is sharded.
"""

import inspect
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing, center_crop
from alexnet_jax.data.resized_crop import random_resized_crop


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The steps that turn training images into the network's input.

    Attributes:
        preprocessing: Normalization of the pixels, applied last.
        crop_size: Side of the crops in pixels.
        crop: Function (key, images, size) -> crops, such as `random_crop`; None cuts the center.
        augments: Functions applied to the crops in this order, by name in `AUGMENTATIONS`: (key,
            images) -> images, or (key, images, step) -> images with the completed steps. Images are
            [B, crop, crop, 3] on the 0-255 scale, uint8 until a function returns float32.
        divisor: Function of the completed steps that divides the result; None divides nothing.
    """

    preprocessing: Preprocessing
    crop_size: int
    crop: Callable[[jax.Array, jax.Array, int], jax.Array] | None = None
    augments: Mapping[str, Callable[..., jax.Array]] = field(default_factory=dict)
    divisor: Callable[[jax.Array], jax.Array] | None = None

    def __call__(self, key: jax.Array, images: jax.Array, step: jax.Array) -> jax.Array:
        """Augment the batch of `step`: uint8 [B, S, S, 3] -> float32 [B, crop, crop, 3]."""
        keys = dict(zip(("crop", "flip", "color_noise"), jax.random.split(key, 3), strict=True))
        if self.crop is None:
            images = center_crop(images, self.crop_size)
        else:
            images = self.crop(keys["crop"], images, self.crop_size)
        for name, augment in self.augments.items():
            own_key = keys[name] if name in keys else key_of(name, key)
            takes_step = "step" in inspect.signature(augment).parameters
            images = augment(own_key, images, **{"step": step} if takes_step else {})
        result = self.preprocessing(images)
        return result if self.divisor is None else result / self.divisor(step)


def key_of(name: str, key: jax.Array) -> jax.Array:
    """Derive an augmentation's key from its name, so that adding another does not change it."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def random_crop(key: jax.Array, images: jax.Array, size: int, group_size: int) -> jax.Array:
    """Cut a square from each image at a random offset: [B, S, S, C] -> [B, size, size, C].

    All offsets from 0 to S - size, both included, are equally likely in each direction. The 2012
    code uses one offset for `group_size` = 32 consecutive images, for speed.
    """
    batch, side = images.shape[:2]
    offsets = jax.random.randint(key, (-(-batch // group_size), 2), 0, side - size + 1, jnp.int32)
    offsets = jnp.repeat(offsets, group_size, axis=0)[:batch]

    return jax.lax.platform_dependent(
        images, offsets, tpu=partial(cut_by_products, size=size), default=partial(_cut, size=size)
    )


def _cut(images: jax.Array, offsets: jax.Array, size: int) -> jax.Array:
    """Cut a square from each image at its offset, int32 [B, 2], of the first row and column."""

    def cut(image: jax.Array, offset: jax.Array) -> jax.Array:
        start = (offset[0], offset[1], jnp.int32(0))
        return jax.lax.dynamic_slice(image, start, (size, size, image.shape[-1]))

    return jax.vmap(cut)(images, offsets)


def cut_by_products(images: jax.Array, offsets: jax.Array, size: int) -> jax.Array:
    """Cut as `_cut` does, by products with matrices that select rows and columns.

    XLA:TPU compiles `_cut` to a loop that copies the batch for each image (docs/lab/chips.md). The
    products are exact: bfloat16 holds 0 to 255, and each sum has one term that is not 0.
    """
    side = images.shape[1]

    def select(start: jax.Array) -> jax.Array:  # [size, S]
        taken = start + jnp.arange(size)
        return (taken[:, None] == jnp.arange(side)[None]).astype(jnp.bfloat16)

    rows, columns = (jax.vmap(select)(offsets[:, axis]) for axis in (0, 1))
    bands = jnp.einsum("boy,byxc->boxc", rows, images.astype(jnp.bfloat16))
    return jnp.einsum("bpx,boxc->bopc", columns, bands).astype(images.dtype)


def random_flip(key: jax.Array, images: jax.Array, group_size: int) -> jax.Array:
    """Mirror images left to right with probability 1/2, `group_size` consecutive images alike."""
    mirrored = jax.random.bernoulli(key, 0.5, (-(-len(images) // group_size), 1, 1, 1))
    mirrored = jnp.repeat(mirrored, group_size, axis=0)[: len(images)]
    return jnp.where(mirrored, images[:, :, ::-1], images)


def color_shift(
    key: jax.Array, count: int, pca_eigenvectors: np.ndarray, pca_std: np.ndarray
) -> jax.Array:
    """Draw V(s ⊙ n) with n ~ N(0, I): one color for each image, float32 [count, 3].

    As in the 2012 code, `pca_std` are standard deviations. The paper's eigenvalues are too large.
    """
    normal = jax.random.normal(key, (count, 3))
    full = jax.lax.Precision.HIGHEST  # As in resized_crop.py.
    return jnp.matmul(normal * pca_std[None], jnp.asarray(pca_eigenvectors).T, precision=full)


def add_color_noise(
    key: jax.Array,
    images: jax.Array,
    step: jax.Array,
    color_noise: Callable[[jax.Array], jax.Array],
    pca_eigenvectors: np.ndarray,
    pca_std: np.ndarray,
) -> jax.Array:
    """Add one `color_shift` to all pixels of an image; returns float32.

    Args:
        key: Random key of the shifts.
        images: [B, S, S, 3] on the 0-255 scale.
        step: Completed steps.
        color_noise: Function of the completed steps: standard deviation in units of `pca_std`.
        pca_eigenvectors: float32 [3, 3]; the columns are the eigenvectors of the RGB covariance.
        pca_std: float32 [3], standard deviations along these, on the 0-255 scale.
    """
    shift = color_shift(key, len(images), pca_eigenvectors, pca_std)
    return images.astype(jnp.float32) + color_noise(step) * shift[:, None, None, :]


# By the name in config.augment.crop: (key, images, size) -> crops, and parameters that are keys of
# config.augment. None is the center crop.
CROPS: dict[str, Callable[..., jax.Array] | None] = {
    "random": random_crop,
    "random_resized": random_resized_crop,
    "center": None,
}

# By name: (key, images) -> images, and further parameters: `step`, keys of config.augment,
# `pca_eigenvectors`, `pca_std`. Those with a key of their name are applied if it is set, the others
# if config.augment.extra names them: flip, extra, color_noise.
AUGMENTATIONS: dict[str, Callable[..., jax.Array]] = {
    "flip": random_flip,
    "color_noise": add_color_noise,
}
