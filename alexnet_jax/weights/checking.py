"""Is this file the network it is said to be? Every name and every shape, and what it is if not."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.errors import UserError
from alexnet_jax.models import MODELS, Spec
from alexnet_jax.weights.bundle import Shapes, Tensors, parameter_shapes
from alexnet_jax.weights.layout import channels_first_shapes

_LISTED = 4  # Differences that a message names before it only counts them.
# Other families whose files people have at hand, by a tensor that only they have.
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
    """Compare a file's tensors, in whatever layout, with what `model_name` needs in that layout.

    Raises:
        UserError: a tensor is missing, left over, of another shape or not finite. The message names
            the network that was expected and, where it is known, the one that the file holds.
    """
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is left over" for name in tensors if name not in expected]
    problems += [
        f"{name} is {_times(tensors[name].shape)} and not {_times(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != tuple(shape)
    ]
    if problems:
        found = identify({name: tensor.shape for name, tensor in tensors.items()})
        more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        instead = "as it should be" if repr(model_name) in found else f"but {found}"
        raise UserError(
            f"{path} is not network {model_name!r} {instead}: {'; '.join(problems[:_LISTED])}{more}"
        )
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            count = int(np.size(tensor) - np.isfinite(tensor).sum())
            raise UserError(f"{path}: {count} numbers of {name} are not finite; the file is no use")


def check_num_classes(path: Path, found: int, wanted: int | None) -> None:
    """Raise UserError if the file's network does not tell as many classes as the caller asked."""
    if wanted is not None and found != wanted:
        raise UserError(
            f"{path} tells {found} classes, not {wanted}; import it with {found}, and fine-tune it"
        )


def check_class_names(path: Path, names: Any, count: int) -> None:
    """Raise UserError unless `names` is a list of `count` names, as many as there are outputs."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: its class names are no list of texts; export it again")
    if len(names) != count or count < 2:
        raise UserError(f"{path} has {len(names)} class names for {count} classes; at least 2")


def identify(shapes: Shapes) -> str:
    """Say, in words, what network tensors of these shapes belong to.

    Args:
        shapes: by name, channels last or first.
    """
    for name, family in _FAMILIES.items():
        if name in shapes:
            return family
    found = _kernels(shapes.values())
    same = [name for name, spec in MODELS.items() if _is_network(spec, found)]
    if same:
        return " or ".join(repr(name) for name in same)
    return f"an unknown network (tensors: {len(shapes)}, parameters: {_count(shapes):,})"


def _is_network(spec: Spec, found: Counter[tuple[int, ...]]) -> bool:
    """Say whether the kernels are that network's, its output layer with any number of classes."""
    ours = parameter_shapes(spec, 2)
    for shapes in (ours, channels_first_shapes(ours)):
        hidden = _kernels(shape for name, shape in shapes.items() if name != _output(ours))
        rest = found - hidden
        if not hidden - found and rest.total() == 1 and len(next(iter(rest))) == 2:
            return True
    return False


def _kernels(shapes: Iterable[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(shape) for shape in shapes if len(shape) in (2, 4))


def _output(shapes: Shapes) -> str:
    return max(name for name in shapes if name.startswith("fc") and name.endswith("kernel"))


def _count(shapes: Shapes) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
