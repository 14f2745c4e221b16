"""What a network's input is made of: pixels minus a mean image, over a deviation a channel."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.atomic_write import atomic_file
from alexnet_jax.errors import UserError
from alexnet_jax.untrusted_file import load_arrays

_Array = TypeVar("_Array", jax.Array, np.ndarray)
_FILE = "preprocessing.npz"

# ImageNet's channel means and deviations as torchvision has them, on the 0-255 scale.
TORCHVISION_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
TORCHVISION_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Travels with the parameters: weights without it are worth nothing.

    Attributes:
        mean: float32 [S, S, 3], RGB on the 0-255 scale, S the size of the stored images. Crops
            subtract its centre wherever they lie, as the 2012 code did.
        std: float32 [3], what each channel is divided by; ones for the networks of 2012.
    """

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that no image can be normalised with."""
        if self.mean.ndim != 3 or self.mean.shape != (len(self.mean), len(self.mean), 3):
            raise ValueError(f"its mean image is {list(self.mean.shape)}, not [S, S, 3]")
        if self.std.shape != (3,):
            raise ValueError(f"its deviations are {list(self.std.shape)}, not [3]")
        if not np.isfinite(self.mean).all():
            raise ValueError("its mean image has numbers that are not finite")
        if not (np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ValueError(f"its deviations {self.std.tolist()} are not all above 0 and finite")

    def __call__(self, crops: jax.Array) -> jax.Array:
        """Turn crops, [B, s, s, 3] on the 0-255 scale, into the network's input, float32."""
        mean = center_crop(self.mean[None], crops.shape[1])
        return (crops.astype(jnp.float32) - mean) / self.std[None, None, None]


def save_preprocessing(preprocessing: Preprocessing, workdir: Path) -> None:
    """Write `preprocessing.npz` into a workdir, whole or not at all."""
    with atomic_file(workdir / _FILE) as unfinished, unfinished.open("wb") as file:
        np.savez(file, mean=preprocessing.mean, std=preprocessing.std)


def load_preprocessing(workdir: Path) -> Preprocessing:
    """Read what `save_preprocessing` wrote; UserError where it is missing or damaged."""
    path = workdir / _FILE
    try:
        arrays = load_arrays(path)
        return Preprocessing(arrays["mean"], arrays["std"])
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); the command that trained here, or imported the "
            "weights, writes it anew"
        ) from error


def center_crop(images: _Array, size: int) -> _Array:
    """Cut the centre: [B, S, S, C] -> [B, size, size, C]; 256 -> 224 starts at 16."""
    offset = (images.shape[1] - size) // 2
    return images[:, offset : offset + size, offset : offset + size]
