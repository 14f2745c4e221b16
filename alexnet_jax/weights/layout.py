"""The order of axes: linen keeps channels last, PyTorch and Caffe keep them first.

    convolution   ours [h, w, in, out]                theirs [out, in, h, w]
    fc6           ours [(row, column, channel), out]  theirs [out, (channel, row, column)]
    fc7, fc8      ours [in, out]                      theirs [out, in]

fc6 differs in more than a transposition, because it reads the last map flattened.
"""

import math
from collections.abc import Mapping

import numpy as np

from alexnet_jax.models import Spec
from alexnet_jax.weights.bundle import Shapes


def map_channels(layer: str, spec: Spec) -> int | None:
    """Return the channels of the map that `layer` flattens, None for all layers but fc6."""
    first_dense = f"fc{len(spec.convolutions) + 1}"
    flattens = layer == first_dense and spec.convolutions
    return spec.convolutions[-1].features if flattens else None


def channels_first(name: str, tensor: np.ndarray, spec: Spec) -> np.ndarray:
    """Turn a parameter of ours, called `name` ("conv1/kernel"), into PyTorch's and Caffe's order.

    Args:
        name: "layer/kernel" or "layer/bias".
        tensor: float32.
        spec: the network that it belongs to.
    """
    layer, _, kind = name.partition("/")
    if kind == "bias":
        return tensor
    if tensor.ndim == 4:
        return np.ascontiguousarray(tensor.transpose(3, 2, 0, 1))
    channels = map_channels(layer, spec)
    if channels is not None:
        side = math.isqrt(tensor.shape[0] // channels)
        tensor = tensor.reshape(side, side, channels, -1).transpose(2, 0, 1, 3)
        tensor = tensor.reshape(side * side * channels, -1)
    return np.ascontiguousarray(tensor.T)


def channels_last(name: str, tensor: np.ndarray, spec: Spec) -> np.ndarray:
    """Undo `channels_first`."""
    layer, _, kind = name.partition("/")
    if kind == "bias":
        return tensor
    if tensor.ndim == 4:
        return np.ascontiguousarray(tensor.transpose(2, 3, 1, 0))
    channels = map_channels(layer, spec)
    if channels is not None:
        side = math.isqrt(tensor.shape[1] // channels)
        tensor = tensor.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
        tensor = tensor.reshape(tensor.shape[0], -1)
    return np.ascontiguousarray(tensor.T)


def channels_first_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Return the shapes that parameters of ours have in PyTorch's and Caffe's order."""
    return {name: _reordered(shape) for name, shape in shapes.items()}


def channels_last_params(
    tensors: Mapping[str, np.ndarray], spec: Spec
) -> dict[str, dict[str, np.ndarray]]:
    """Turn all of a network, by our names but channels first, into linen's parameters."""
    params: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.partition("/")
        params.setdefault(layer, {})[kind] = channels_last(name, tensor, spec)
    return params


def _reordered(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 4:
        height, width, inputs, outputs = shape
        return (outputs, inputs, height, width)
    return shape[::-1]
