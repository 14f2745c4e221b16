"""Reading .caffemodel files: protobuf messages with blobs of floats."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from alexnet_jax.errors import UserError
from alexnet_jax.weights.caffe_messages import V1_TYPES, message_class
from alexnet_jax.weights.files import require_file

_MOST_AXES = 32  # Caffe's own limit.


@dataclass(frozen=True)
class Layer:
    """A layer as the file has it: "conv1", "Convolution", its blobs as float32 arrays."""

    name: str
    type: str
    blobs: list[np.ndarray]


def read_caffemodel(path: Path) -> list[Layer]:
    """Return the layers of a .caffemodel, in the file's order.

    Raises:
        UserError: it is no such file, is cut short, or is of Caffe's oldest form.
    """
    require_file(path)
    net = message_class("NetParameter")()
    try:
        net.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise UserError(f"{path} is truncated or no .caffemodel; download it again") from error
    if any(layer.HasField("v0") for layer in net.layers):
        raise UserError(
            f"{path} is of Caffe's form before 2014; Caffe's upgrade_net_proto_binary renews it"
        )
    layers = [Layer(each.name, each.type, _read_blobs(path, each)) for each in net.layer]
    layers += [
        Layer(each.name, V1_TYPES.get(each.type, ""), _read_blobs(path, each))
        for each in net.layers
    ]
    if not layers:
        raise UserError(f"{path} is no .caffemodel: it has no layers")
    return layers


def _read_blobs(path: Path, layer: Any) -> list[np.ndarray]:
    return [_read_blob(f"{path}: {layer.name}", blob) for blob in layer.blobs]


def _read_blob(where: str, blob: Any) -> np.ndarray:
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    values, number = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    if len(shape) > _MOST_AXES or min(shape, default=1) < 1:
        raise UserError(f"{where} has an impossible shape of {len(shape)} axes; download it again")
    data = b"".join(values)
    needed = math.prod(shape) * np.dtype(number).itemsize
    if len(data) != needed:
        raise UserError(
            f"{where} has {len(data):,} bytes of numbers where its shape {shape} needs {needed:,}"
        )
    return np.frombuffer(data, number).reshape(shape).astype(np.float32)
