"""The descriptions of prepared TFDS data sets: versions, splits, features, fingerprint."""

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from alexnet_jax.errors import UserError

_INFO = "dataset_info.json"


class Features(NamedTuple):
    """The names of the image and label features of a data set, and its class names by label."""

    image: str
    label: str
    class_names: list[str]


def find_features(features: Any, directory: Path) -> Features:
    """Find the image and label features, in upper or lower case, in TFDS's description `features`.

    Raises:
        UserError: one of them is missing or has an unsupported type; names `directory`.
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


def resolve_split(split: str, splits: Collection[str]) -> str:
    """Return `split`, or "test" instead of "validation" if only "test" exists, as in CIFAR-10."""
    return "test" if split == "validation" not in splits and "test" in splits else split


def find_versions(data_dir: str | Path, name: str, pattern: str = _INFO) -> list[Path]:
    """List the files that match `pattern` in the versions of a data set, oldest version first."""
    root = Path(data_dir, name)
    versions = {path: path.relative_to(root).parts[0] for path in root.glob(f"*/{pattern}")}
    found = [path for path, version in versions.items() if version.replace(".", "").isdigit()]
    return sorted(found, key=lambda path: [int(number) for number in versions[path].split(".")])


def records_fingerprint(directory: Path) -> str | None:
    """Return a hash of the description of the records in `directory`, or None without records."""
    if not (directory / _INFO).is_file():
        return None
    with read_info(directory) as info:
        described = [info["name"], info.get("configName"), info["version"]]
        described += [[s["name"], s["numBytes"], s["shardLengths"]] for s in info["splits"]]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()


@contextmanager
def read_info(directory: Path) -> Iterator[Any]:
    """Read the description of records; errors in the block become UserErrors of a damaged file."""
    path = directory / _INFO
    with damage_reported(path, f"restore it, or remove {directory} and prepare the data set again"):
        yield json.loads(path.read_text())


@contextmanager
def damage_reported(path: Path, way_out: str) -> Iterator[None]:
    """Turn the errors of reading a damaged JSON file into a UserError of one line."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read ({reason}); {way_out}") from error
