"""Write a network as Caffe keeps it: a .prototxt (text) and a .caffemodel (protobuf).

The fields and their numbers are those of Caffe's src/caffe/proto/caffe.proto, the layers those of
models/bvlc_alexnet and models/bvlc_reference_caffenet.
"""

from pathlib import Path

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_FIELD = descriptor_pb2.FieldDescriptorProto
# Of each message the fields that hold weights: name -> (number, type, or a message's name).
# Packed numbers and bytes are alike in the file; as bytes, 60 million of them are fast.
_MESSAGES = {
    "BlobShape": {"dim": (1, _FIELD.TYPE_INT64)},
    "BlobProto": {"data": (5, _FIELD.TYPE_BYTES), "shape": (7, "BlobShape")},
    "LayerParameter": {
        "name": (1, _FIELD.TYPE_STRING),
        "type": (2, _FIELD.TYPE_STRING),
        "blobs": (7, "BlobProto"),
    },
    "NetParameter": {"layer": (100, "LayerParameter")},
}
_REPEATED = {"dim", "blobs", "layer"}


def _make_net_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="written_by_test.proto", package="caffe")
    for message, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            label = _FIELD.LABEL_REPEATED if name in _REPEATED else _FIELD.LABEL_OPTIONAL
            field = descriptor.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = kind
            field.options.packed = name == "dim"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def write_caffemodel(path: Path, layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write each layer's kernel (in Caffe's layout, PyTorch's too) and bias."""
    net = _make_net_class()()
    for name, blobs in layers.items():
        kind = "Convolution" if name.startswith("conv") else "InnerProduct"
        layer = net.layer.add(name=name, type=kind)
        for values in blobs:
            blob = layer.blobs.add()
            blob.shape.dim.extend(values.shape)
            blob.data = values.astype("<f4").tobytes()
    path.write_bytes(net.SerializeToString())


def write_prototxt(path: Path, pool_first: bool, classes: int) -> None:
    """Write bvlc_alexnet, or with `pool_first` CaffeNet, up to its logits."""
    path.write_text("\n".join(_describe(pool_first, classes)))


def _describe(pool_first: bool, classes: int) -> list[str]:
    lines = ['input: "data"', "input_shape { dim: 1 dim: 3 dim: 227 dim: 227 }"]
    top = "data"

    def add(name: str, kind: str, settings: str) -> None:
        nonlocal top
        names = f'name: "{name}" type: "{kind}" bottom: "{top}" top: "{name}"'
        lines.append(f"layer {{ {names} {settings} }}")
        top = name

    def convolve(number: int, settings: str) -> None:
        add(f"conv{number}", "Convolution", f"convolution_param {{ {settings} }}")
        add(f"relu{number}", "ReLU", "")

    def pool(number: int) -> None:
        add(f"pool{number}", "Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")

    def reduce(number: int) -> None:
        if pool_first:
            pool(number)
        norm = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
        add(f"norm{number}", "LRN", norm)
        if not pool_first:
            pool(number)

    convolve(1, "num_output: 96 kernel_size: 11 stride: 4")
    reduce(1)
    convolve(2, "num_output: 256 pad: 2 kernel_size: 5 group: 2")
    reduce(2)
    convolve(3, "num_output: 384 pad: 1 kernel_size: 3")
    convolve(4, "num_output: 384 pad: 1 kernel_size: 3 group: 2")
    convolve(5, "num_output: 256 pad: 1 kernel_size: 3 group: 2")
    pool(5)
    for number in (6, 7):
        add(f"fc{number}", "InnerProduct", "inner_product_param { num_output: 4096 }")
        add(f"relu{number}", "ReLU", "")
        add(f"drop{number}", "Dropout", "dropout_param { dropout_ratio: 0.5 }")
    add("fc8", "InnerProduct", f"inner_product_param {{ num_output: {classes} }}")
    return lines
