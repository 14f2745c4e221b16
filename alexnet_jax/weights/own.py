"""Our own weights file: safetensors with our names, and all that a workdir needs beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.models import create_model
from alexnet_jax.weights.bundle import (
    Bundle,
    Tensors,
    flatten,
    parameter_shapes,
    statistics_shapes,
    unflatten,
)
from alexnet_jax.weights.checking import (
    check_class_names,
    check_num_classes,
    check_tensors,
    identify,
)
from alexnet_jax.weights.safetensors_file import read_safetensors, write_safetensors

_T = TypeVar("_T")

_KEY = "alexnet_jax"  # Of the metadata: one JSON object.
_VERSION = 1
_KINDS: dict[str, type | tuple[type, ...]] = {
    "version": int,
    "model_name": str,
    "crop_size": int,
    "dtype": str,
    "changes": list,
    "class_names": list,
    "config": (dict, type(None)),
}
_MEAN, _STD = "preprocessing/mean", "preprocessing/std"
_STATISTICS = "batch_stats/"  # Before the names of batch normalisation's running statistics.


def export_own(bundle: Bundle, path: Path) -> None:
    """Write the parameters ("conv1/kernel", ...), the preprocessing, the classes, the config.

    Where there is batch normalisation, its running statistics too ("batch_stats/conv1_norm/mean").
    """
    description = {
        "version": _VERSION,
        "model_name": bundle.model_name,
        "crop_size": bundle.crop_size,
        "dtype": bundle.dtype,
        "changes": list(bundle.changes),
        "class_names": bundle.class_names,
        "config": bundle.config,
    }
    preprocessing = {_MEAN: bundle.preprocessing.mean, _STD: bundle.preprocessing.std}
    tensors = flatten(bundle.params) | _mark(flatten(bundle.batch_stats)) | preprocessing
    write_safetensors(path, tensors, {_KEY: json.dumps(description)})


def import_own(path: Path, model_name: str | None = None, num_classes: int | None = None) -> Bundle:
    """Read what `export_own` wrote.

    Raises:
        UserError: it is no such file, or not network `model_name`, whole.
    """
    tensors, metadata = read_safetensors(path)
    description = _describe(path, metadata, tensors)
    found_name, class_names = description["model_name"], description["class_names"]
    check_class_names(path, class_names, len(class_names))
    if model_name is not None and model_name != found_name:
        raise UserError(f"{path} holds network {found_name!r}, not {model_name!r}")
    crop_size = description["crop_size"]
    preprocessing = _take_preprocessing(path, tensors, crop_size)
    spec = create_model(found_name, len(class_names), modifications=description["changes"]).spec
    statistics = statistics_shapes(spec, len(class_names))
    expected = parameter_shapes(spec, len(class_names)) | _mark(statistics)
    check_tensors(path, tensors, expected, found_name)
    check_num_classes(path, len(class_names), num_classes)
    batch_stats = {name: tensors.pop(f"{_STATISTICS}{name}") for name in statistics}
    return Bundle(
        found_name,
        unflatten(tensors),
        preprocessing,
        class_names,
        crop_size,
        description["dtype"],
        description["changes"],
        description["config"],
        unflatten(batch_stats),
    )


def _mark(statistics: Mapping[str, _T]) -> dict[str, _T]:
    """Put the names of statistics apart from those of parameters."""
    return {f"{_STATISTICS}{name}": value for name, value in statistics.items()}


def _describe(path: Path, metadata: dict[str, str], tensors: Tensors) -> dict[str, Any]:
    if _KEY not in metadata:
        found = identify({name: tensor.shape for name, tensor in tensors.items()})
        raise UserError(
            f"{path} is no weights file of alexnet_jax but {found}; give --format=torchvision for "
            "a file with torchvision's names"
        )
    try:
        description = json.loads(metadata[_KEY])
        wrong = [key for key, types in _KINDS.items() if not isinstance(description[key], types)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: its description is damaged ({error})") from error
    if not all(isinstance(change, str) for change in description["changes"]):
        wrong.append("changes")
    if wrong or description["version"] != _VERSION:
        raise UserError(
            f"{path} is of version {description['version']}, this program reads {_VERSION}"
            + (f"; not as they should be: {', '.join(wrong)}" if wrong else "")
        )
    return description


def _take_preprocessing(
    path: Path, tensors: dict[str, np.ndarray], crop_size: int
) -> Preprocessing:
    """Remove the preprocessing from among the parameters and return it."""
    missing = [name for name in (_MEAN, _STD) if name not in tensors]
    if missing:
        raise UserError(f"{path}: {' and '.join(missing)} missing; export it again")
    try:
        preprocessing = Preprocessing(tensors.pop(_MEAN), tensors.pop(_STD))
    except ValueError as error:
        raise UserError(f"{path}: {error} ({_MEAN}, {_STD}); export it again") from error
    if not 1 <= crop_size <= len(preprocessing.mean):
        raise UserError(
            f"{path}: its crops of {crop_size} do not fit images of {len(preprocessing.mean)}"
        )
    return preprocessing
