"""Caffe's files as Caffe writes them: protobuf's wire format, byte by byte, from caffe.proto.

Independent of the reader under test: no message class, numbers of fields written out here.
"""

import struct

import numpy as np

V1_NUMBERS = {
    "Data": 5,
    "Convolution": 4,
    "ReLU": 18,
    "LRN": 15,
    "Pooling": 17,
    "InnerProduct": 14,
    "Dropout": 6,
    "SoftmaxWithLoss": 21,
}


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def chunk(field, content):
    """A field of bytes: text, a message or packed numbers."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def number(field, value):
    return varint(field << 3) + varint(value)


def blob(array, old=False):
    data = chunk(5, np.asarray(array, "<f4").tobytes())
    if old:
        shape = (1,) * (4 - array.ndim) + array.shape
        return b"".join(number(1 + axis, size) for axis, size in enumerate(shape)) + data
    return chunk(7, chunk(1, b"".join(map(varint, array.shape)))) + data


def layer(name, kind, blobs=()):
    """LayerParameter, under NetParameter's field 100."""
    body = chunk(1, name.encode()) + chunk(2, kind.encode()) + chunk(3, b"below")
    return chunk(100, body + b"".join(chunk(7, blob(each)) for each in blobs))


def layer_v1(name, kind, blobs=()):
    """V1LayerParameter, under field 2; blobs have four axes, and a rate each (field 7)."""
    body = chunk(2, b"below") + chunk(4, name.encode()) + number(5, V1_NUMBERS[kind])
    body += b"".join(chunk(6, blob(each, old=True)) for each in blobs)
    body += b"".join(varint(7 << 3 | 5) + struct.pack("<f", 1.0) for _ in blobs)
    return chunk(2, body)


def network(tensors, order, make_layer=layer, name=b"AlexNet"):
    """A NetParameter.

    Args:
        tensors: {"conv1": [kernel, bias], ...}.
        order: names and types of the layers, e.g. [("conv1", "Convolution"), ("relu1", "ReLU")].
        make_layer: `layer` or `layer_v1`.
        name: of the network.
    """
    layers = [make_layer(each, kind, tensors.get(each, ())) for each, kind in order]
    return chunk(1, name) + b"".join(layers)
