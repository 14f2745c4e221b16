"""Checks of a file's content, with messages that say which network the file holds instead."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.models import MODELS, Spec
from alexnet_jax.weights.bundle import Shapes, Tensors, name_classes, tensor_shapes

_LISTED = 4  # A message lists this many problems and counts the others.
# Other common families, each with a tensor that only its files have.
_FAMILIES = {
    "layer1.0.conv1.weight": "a ResNet",
    "features.conv0.weight": "a DenseNet",
    "features.3.squeeze.weight": "a SqueezeNet",
    "inception3a.branch1.conv.weight": "GoogLeNet",
    "features.28.weight": "a VGG",
    "conv1_1/weight": "a VGG",
    "conv1/7x7_s2/weight": "GoogLeNet",
}


def check_tensors(path: Path, tensors: Tensors, expected: Shapes, model_name: str) -> None:
    """Raise UserError if a tensor is missing, unexpected, of another shape or not finite.

    `expected` are the shapes that `model_name` has in the file's layout.
    """
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is unexpected" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {_times(tensors[name].shape)} instead of {_times(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    if problems:
        found = identify(tensors)
        instead = "is incomplete or damaged" if repr(model_name) in found else f"holds {found}"
        more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise UserError(
            f"{path} is not a file of network {model_name!r}, it {instead}: "
            f"{'; '.join(problems[:_LISTED])}{more}"
        )
    for name, tensor in tensors.items():
        count = tensor.size - np.isfinite(tensor).sum()
        if count:
            raise UserError(f"{path} cannot be used: {count} numbers of {name} are not finite")


def check_class_names(path: Path, names: Any, count: int) -> list[str]:
    """Return the class names of a file, those of `name_classes` where it has none.

    Raises:
        UserError: `names` is no list of `count` texts, or there are fewer than two.
    """
    names = names or name_classes(count)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: its class names are not a list of texts; export it again")
    if len(names) != count or count < 2:
        raise UserError(f"{path} has {len(names)} class names for {count} classes; at least 2")
    return names


def check_crop_size(path: Path, crop_size: int, preprocessing: Preprocessing) -> None:
    """Raise UserError unless crops of that size fit into the mean image."""
    image_size = len(preprocessing.mean)
    if not 1 <= crop_size <= image_size:
        raise UserError(f"{path}: its crops of {crop_size} do not fit images of {image_size}")


def identify(tensors: Tensors) -> str:
    """Describe the network that these tensors belong to, whatever their names and axis order."""
    for name, family in _FAMILIES.items():
        if name in tensors:
            return family
    kernels = _kernels(tensor.shape for tensor in tensors.values())
    known = [repr(name) for name, spec in MODELS.items() if _has_kernels(spec, kernels)]
    if known:
        return " or ".join(known)
    parameters = sum(tensor.size for tensor in tensors.values())
    return f"an unknown network (tensors: {len(tensors)}, parameters: {parameters:,})"


def _has_kernels(spec: Spec, kernels: Counter[tuple[int, ...]]) -> bool:
    """Say whether these are the network's kernels, with any number of classes."""
    expected = tensor_shapes(spec, 2)
    del expected[f"{spec.output_name}/kernel"]
    hidden = _kernels(expected.values())
    output = list((kernels - hidden).elements())
    return hidden <= kernels and [len(shape) for shape in output] == [2]


def _kernels(shapes: Iterable[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    """Count the kernels by their shape, sorted because formats order the axes differently."""
    return Counter(tuple(sorted(shape)) for shape in shapes if len(shape) in (2, 4))


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
