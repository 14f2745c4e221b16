"""Caffe's AlexNets: `.caffemodel` files of BVLC AlexNet and CaffeNet.

Caffe's networks read BGR. Ours read RGB, so the import reverses conv1's input channels. The mean
stays in the preprocessing, so that fine-tuning sees the input of the original training.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, message_factory  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec, find_spec
from alexnet_jax.weights.bundle import Bundle, constant_preprocessing, name_classes
from alexnet_jax.weights.checking import identify
from alexnet_jax.weights.files import require_file
from alexnet_jax.weights.layout import convert_params

# The mean of the training set, BGR, as rounded in Caffe's
# models/bvlc_reference_caffenet/train_val.prototxt (`mean_value`). The original training subtracted
# the mean image, which the .caffemodel does not hold.
BGR_MEAN = (104.0, 117.0, 123.0)
_NETWORKS = ("caffe", "caffenet")
_CAFFE_TYPES = {"activation": "ReLU", "lrn": "LRN", "pool": "Pooling"}
# V1LayerParameter.LayerType, for the layers that tell the networks apart.
_V1_TYPES = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling", 18: "ReLU"}
_KINDS = {0: "kernel", 1: "bias"}  # By position among a layer's blobs.
_MOST_AXES = 32  # Caffe's own limit.
# The part of BVLC/caffe's src/caffe/proto/caffe.proto that holds trained parameters; the parser
# skips all other fields. Packed floats have the wire format of bytes. Declared as bytes, 61 million
# of them become an array at once, without a Python object for each.
_PROTO = """
message BlobShape { repeated int64 dim = 1; }
message BlobProto {
  optional int32 num = 1; optional int32 channels = 2;
  optional int32 height = 3; optional int32 width = 4;
  repeated bytes data = 5; optional BlobShape shape = 7; repeated bytes double_data = 8;
}
message LayerParameter {
  optional string name = 1; optional string type = 2; repeated BlobProto blobs = 7;
}
message V1LayerParameter {
  optional bytes v0 = 1;
  optional string name = 4; optional int32 type = 5; repeated BlobProto blobs = 6;
}
message NetParameter { repeated V1LayerParameter layers = 2; repeated LayerParameter layer = 100; }
"""


def import_caffe(path: Path, bgr_mean: Sequence[float] | None = None) -> Bundle:
    """Read a .caffemodel. The order of its layers tells which of the two networks it is.

    Both of Caffe's formats since 2014 are read (`layer` and `layers`). `bgr_mean` is subtracted
    from every pixel; None stands for `BGR_MEAN`.
    """
    order, tensors = read_caffemodel(path)
    specs = {name: find_spec(name) for name in _NETWORKS}
    model_name = next((name for name in specs if _order_of_layers(specs[name]) == order), None)
    if model_name is None:
        raise UserError(
            f"{path} is neither of {' and '.join(map(repr, specs))}: by its tensors it is "
            f"{identify(tensors)}, and its layers are in another order "
            f"({', '.join(order) or 'none'})"
        )
    params = convert_params(path, tensors, model_name)
    params["conv1"]["kernel"] = params["conv1"]["kernel"][:, :, ::-1]
    mean = np.array(bgr_mean or BGR_MEAN, np.float32)[::-1]
    spec = specs[model_name]
    class_names = name_classes(params[spec.output_name]["bias"].size)
    preprocessing = constant_preprocessing(mean, np.ones(3))
    return Bundle(model_name, params, preprocessing, class_names, spec.crop_size)


def _order_of_layers(spec: Spec) -> list[str]:
    """Return the types of a network's layers in Caffe's words, from the input to the output."""
    order = []
    for layer in spec.convolutions:
        order += ["Convolution", *(_CAFFE_TYPES[operation] for operation in layer.after)]
    return [*order, *["InnerProduct", "ReLU"] * len(spec.dense), "InnerProduct"]


def read_caffemodel(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the types of the layers, in the file's order, and the blobs ("conv1/kernel").

    Types that do not tell the networks apart, such as Dropout, are left out.
    """
    require_file(path)
    net = _net_parameter()()
    try:
        net.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise UserError(f"{path} is truncated or no .caffemodel; download it again") from error
    if any(layer.HasField("v0") for layer in net.layers):
        raise UserError(
            f"{path} is in Caffe's format before 2014; upgrade it with Caffe's "
            "upgrade_net_proto_binary"
        )
    layers = [*net.layer, *net.layers]
    if not layers:
        raise UserError(f"{path} is no .caffemodel: it has no layers")
    tensors = {}
    for layer in layers:
        for position, blob in enumerate(layer.blobs):
            name = f"{layer.name}/{_KINDS.get(position, f'blob {position}')}"
            if name in tensors:
                raise UserError(f"{path} has two layers called {layer.name!r}")
            tensors[name] = _read_blob(f"{path}: {layer.name}", blob)
    types = [_V1_TYPES.get(layer.type, layer.type) for layer in layers]
    return [each for each in types if each in _V1_TYPES.values()], tensors


def _read_blob(where: str, blob: Any) -> np.ndarray:
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    values, dtype = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    if len(shape) > _MOST_AXES or min(shape, default=1) < 1:
        raise UserError(f"{where} has an impossible shape of {len(shape)} axes; download it again")
    data = b"".join(values)
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != needed:
        raise UserError(
            f"{where} has {len(data):,} bytes of numbers, its shape {shape} needs {needed:,}"
        )
    # Caffe's older format gives every blob four axes, the first ones of size 1.
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return np.frombuffer(data, dtype).reshape(shape).astype(np.float32)


@cache
def _net_parameter() -> Any:
    """Return protobuf's class for the message that is the whole file."""
    field_type = descriptor_pb2.FieldDescriptorProto
    package = "alexnet_jax.caffe"
    file = descriptor_pb2.FileDescriptorProto(name=package, package=package, syntax="proto2")
    for message_name, body in re.findall(r"message (\w+) \{(.*?)\}", _PROTO, re.DOTALL):
        message = file.message_type.add(name=message_name)
        for label, kind, name, number in re.findall(r"(\w+) (\w+) (\w+) = (\d+);", body):
            field = message.field.add(name=name, number=int(number))
            field.label = field_type.Label.Value(f"LABEL_{label.upper()}")
            if kind.islower():
                field.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
            else:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".{package}.{kind}"
    return message_factory.GetMessages([file])[f"{package}.NetParameter"]
