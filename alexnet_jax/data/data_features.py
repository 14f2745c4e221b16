"""Which features of a TFDS data set are the image and the class."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class Features:
    """The features of a data set that training reads.

    Attributes:
        image: name of the encoded image.
        label: name of the class.
        class_names: by label.
    """

    image: str
    label: str
    class_names: list[str]


def find_features(features: Any, directory: Path) -> Features:
    """Find the image and the class among a data set's features, whatever the case of their names.

    Args:
        features: TFDS's description, a mapping of names.
        directory: of the records, for the message.

    Raises:
        UserError: one of them is missing, or of a type that cannot be trained on.
    """
    image_name, image = _find(features, "image", tfds.features.Image, directory)
    label_name, label = _find(features, "label", tfds.features.ClassLabel, directory)
    # TFDS stores float images bit by bit in a PNG of four channels, which looks like noise.
    if image.np_dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"{directory}: images of {np.dtype(image.np_dtype).name} cannot be read; prepare the "
            "data set with uint8 or uint16 images"
        )
    if not label.num_classes:
        raise UserError(f"{directory}: the feature {label_name!r} does not say how many classes")
    return Features(image_name, label_name, list(label.names))


def resolve_split(split: str, splits: Collection[str]) -> str:
    """Return `split`, or 'test' for the 'validation' of a data set that has none.

    Many data sets, such as CIFAR-10 and MNIST, have only 'train' and 'test'.
    """
    return "test" if split == "validation" not in splits and "test" in splits else split


def _find(features: Any, name: str, kind: type, directory: Path) -> tuple[str, Any]:
    names = dict(features.items()) if hasattr(features, "items") else {}
    found = [key for key, value in names.items() if key.lower() == name and isinstance(value, kind)]
    if len(found) != 1:
        there = ", ".join(f"{key}: {type(value).__name__}" for key, value in names.items())
        raise UserError(
            f"{directory} cannot be trained on: it needs one feature {name!r} of type "
            f"{kind.__name__} (upper or lower case), and has {there or 'no named features'}"
        )
    return found[0], names[found[0]]
