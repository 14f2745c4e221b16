"""Tensors of PyTorch and Caffe: they have channels first, linen has them last.

    convolution   ours [h, w, in, out]                theirs [out, in, h, w]
    fc6           ours [(row, column, channel), out]  theirs [out, (channel, row, column)]
    fc7, fc8      ours [in, out]                      theirs [out, in]

fc6 needs more than a transposition, because it reads the last map flattened.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from alexnet_jax.models import Spec, find_spec
from alexnet_jax.weights.bundle import Shapes, Tensors, tensor_shapes
from alexnet_jax.weights.checking import check_tensors


def convert_params(
    path: Path, tensors: Tensors, model_name: str, rename: Callable[[str], str] = str
) -> dict[str, Any]:
    """Check that a file's tensors are that network, and turn them into linen's parameters.

    `rename` turns a name of ours, "conv1/kernel", into the file's.
    """
    spec = find_spec(model_name)
    bias = rename(f"{spec.output_name}/bias")
    num_classes = max(tensors[bias].size, 2) if bias in tensors else 2
    shapes = channels_first_shapes(tensor_shapes(spec, num_classes))
    check_tensors(path, tensors, {rename(name): each for name, each in shapes.items()}, model_name)
    params = {name: channels_last(name, tensors[rename(name)], spec) for name in shapes}
    return unflatten_dict(params, sep="/")


def channels_first(name: str, tensor: np.ndarray, spec: Spec) -> np.ndarray:
    """Turn a parameter of ours, e.g. "conv1/kernel", into the order of PyTorch and Caffe."""
    if tensor.ndim == 4:
        return tensor.transpose(3, 2, 0, 1)
    if _reads_map(name, spec):
        maps = tensor.reshape(-1, spec.convolutions[-1].features, tensor.shape[1])
        return maps.T.reshape(tensor.shape[::-1])
    return tensor.T


def channels_last(name: str, tensor: np.ndarray, spec: Spec) -> np.ndarray:
    """Undo `channels_first`."""
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)
    if _reads_map(name, spec):
        maps = tensor.reshape(len(tensor), spec.convolutions[-1].features, -1)
        return maps.T.reshape(tensor.shape[::-1])
    return tensor.T


def channels_first_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Return the shapes that parameters of ours have in the order of PyTorch and Caffe."""
    return {
        name: (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
        for name, shape in shapes.items()
    }


def _reads_map(name: str, spec: Spec) -> bool:
    """Say whether this is the kernel of the first dense layer, fc6 in the networks of 2012."""
    return bool(spec.convolutions) and name == f"fc{len(spec.convolutions) + 1}/kernel"
