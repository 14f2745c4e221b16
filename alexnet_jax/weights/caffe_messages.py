"""The part of Caffe's protobuf format that holds trained parameters.

Field numbers from the public `caffe.proto` (BVLC/caffe, src/caffe/proto). A field that is not named
here is skipped by the parser; nothing of a file is run.
"""

from functools import cache
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "alexnet_jax.caffe"

# Message -> field -> (number, type; the name of a message where it is one, whether repeated).
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "BlobShape": {"dim": (1, _Field.TYPE_INT64, True)},
    "BlobProto": {
        "num": (1, _Field.TYPE_INT32, False),
        "channels": (2, _Field.TYPE_INT32, False),
        "height": (3, _Field.TYPE_INT32, False),
        "width": (4, _Field.TYPE_INT32, False),
        # Packed floats, which on the wire are bytes with a length. Taken as bytes, 61 million
        # of them are an array at once; taken as floats, Python would touch each.
        "data": (5, _Field.TYPE_BYTES, True),
        "shape": (7, "BlobShape", False),
        "double_data": (8, _Field.TYPE_BYTES, True),
    },
    "LayerParameter": {
        "name": (1, _Field.TYPE_STRING, False),
        "type": (2, _Field.TYPE_STRING, False),
        "blobs": (7, "BlobProto", True),
    },
    "V1LayerParameter": {
        "v0": (1, _Field.TYPE_BYTES, False),
        "name": (4, _Field.TYPE_STRING, False),
        "type": (5, _Field.TYPE_INT32, False),
        "blobs": (6, "BlobProto", True),
    },
    "NetParameter": {
        "name": (1, _Field.TYPE_STRING, False),
        "layers": (2, "V1LayerParameter", True),
        "layer": (100, "LayerParameter", True),
    },
}

# V1LayerParameter.LayerType, for the layers that make a network what it is.
V1_TYPES = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling", 18: "ReLU"}


@cache
def message_class(name: str) -> Any:
    """Return protobuf's class for one of the messages above, e.g. "NetParameter"."""
    file = descriptor_pb2.FileDescriptorProto(
        name="alexnet_jax/caffe.proto", package=_PACKAGE, syntax="proto2"
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind, repeated) in fields.items():
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
