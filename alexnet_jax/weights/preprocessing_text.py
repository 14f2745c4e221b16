"""A network's input as text, for files that have room for texts only."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError

_LARGEST_IMAGE = 4096  # A mean image of this side takes 200 MB; a file may claim any side.


def constant_preprocessing(mean: np.ndarray, std: np.ndarray, image_size: int) -> Preprocessing:
    """Return the input (x - mean) / std with one mean a channel, for images of `image_size`."""
    image = np.broadcast_to(mean, (image_size, image_size, 3)).astype(np.float32)
    return Preprocessing(image, np.asarray(std, np.float32))


def is_constant(preprocessing: Preprocessing) -> bool:
    """Say whether the mean is the same everywhere in the image."""
    return bool((preprocessing.mean == preprocessing.mean[0, 0]).all())


def preprocessing_to_text(preprocessing: Preprocessing) -> dict[str, Any]:
    """Return JSON's kinds of values: three numbers for a constant mean, else base64 of float32."""
    mean = preprocessing.mean.astype("<f4")
    if is_constant(preprocessing):
        values: Any = mean[0, 0].tolist()
    else:
        values = base64.b64encode(mean.tobytes()).decode()
    return {"image_size": len(mean), "mean": values, "std": preprocessing.std.tolist()}


def preprocessing_from_text(text: Mapping[str, Any]) -> Preprocessing:
    """Undo `preprocessing_to_text`, to the bit.

    Raises:
        UserError: the text is damaged.
    """
    try:
        size, std = int(text["image_size"]), np.asarray(text["std"], np.float32).reshape(3)
        if not 1 <= size <= _LARGEST_IMAGE:
            raise ValueError(f"images of {size} pixels; the largest known are {_LARGEST_IMAGE}")
        if isinstance(text["mean"], str):
            mean = np.frombuffer(base64.b64decode(text["mean"], validate=True), "<f4")
            return Preprocessing(mean.reshape(size, size, 3).astype(np.float32), std)
        return constant_preprocessing(np.asarray(text["mean"], np.float32), std, size)
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise UserError(f"the file's preprocessing is damaged ({error})") from error
