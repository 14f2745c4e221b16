"""The normalization of the network's input: minus a mean image, divided by channel deviations."""

from dataclasses import dataclass
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

_Array = TypeVar("_Array", jax.Array, np.ndarray)

# ImageNet's channel means and standard deviations in torchvision, on the 0-255 scale.
TORCHVISION_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
TORCHVISION_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """The mean and deviations of the input; they belong to the parameters and are saved with them.

    Attributes:
        mean: Mean image, float32 [S, S, 3], RGB, 0-255; S is the size of the stored images. Crops
            of any position subtract its center, as in the 2012 code.
        std: Divisor of each channel, float32 [3]; ones for the networks of 2012.
    """

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        """Raise ValueError for wrong shapes, and for values that are not finite or divide by 0."""
        if self.mean.ndim != 3 or self.mean.shape != (len(self.mean), len(self.mean), 3):
            raise ValueError(f"its mean image is {list(self.mean.shape)}, not [S, S, 3]")
        if self.std.shape != (3,):
            raise ValueError(f"its deviations are {list(self.std.shape)}, not [3]")
        if not np.isfinite(self.mean).all():
            raise ValueError("its mean image has numbers that are not finite")
        if not (np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ValueError(f"its deviations {self.std.tolist()} are not all above 0 and finite")

    def __call__(self, crops: jax.Array) -> jax.Array:
        """Normalize crops, [B, s, s, 3] on the 0-255 scale, to float32."""
        mean = center_crop(self.mean[None], crops.shape[1])
        return (crops.astype(jnp.float32) - mean) / self.std[None, None, None]


def center_crop(images: _Array, size: int) -> _Array:
    """Cut the center, [B, S, S, C] -> [B, size, size, C]; from 256 to 224 it starts at 16."""
    offset = (images.shape[1] - size) // 2
    return images[:, offset : offset + size, offset : offset + size]
