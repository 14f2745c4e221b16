"""`preprocessing.npz`: the normalization that belongs to a workdir's parameters."""

from pathlib import Path

import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.untrusted_file import load_arrays

_FILE = "preprocessing.npz"


def save_preprocessing(preprocessing: Preprocessing, workdir: Path) -> None:
    """Write `preprocessing.npz` into a workdir, atomically."""
    with atomic_file(workdir / _FILE) as unfinished, unfinished.open("wb") as file:
        np.savez(file, mean=preprocessing.mean, std=preprocessing.std)


def load_preprocessing(workdir: Path) -> Preprocessing:
    """Read `preprocessing.npz`; raise UserError if it is missing or damaged."""
    path = workdir / _FILE
    try:
        arrays = load_arrays(path)
        return Preprocessing(arrays["mean"], arrays["std"])
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); the command that trained here, or imported the "
            "weights, rewrites it"
        ) from error
