"""Caffe's AlexNets: `.caffemodel` files of BVLC AlexNet and CaffeNet.

Caffe's networks read BGR. Ours read RGB, so conv1's input channels are turned around here, once.
The mean stays in the preprocessing, not in conv1's biases, so that fine-tuning sees the input that
the network was trained with.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet_jax.data.images import IMAGE_SIZE
from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec, find_spec
from alexnet_jax.weights.bundle import Bundle, parameter_shapes
from alexnet_jax.weights.caffe_file import Layer, read_caffemodel
from alexnet_jax.weights.checking import check_num_classes, check_tensors, identify
from alexnet_jax.weights.classes import name_classes
from alexnet_jax.weights.layout import channels_first_shapes, channels_last_params
from alexnet_jax.weights.preprocessing_text import constant_preprocessing

NETWORKS = ("caffe", "caffenet")
# The training set's mean, BGR, as Caffe's models/bvlc_reference_caffenet/train_val.prototxt rounds
# it (`mean_value`). Their training subtracted the mean image, which the .caffemodel does not hold.
BGR_MEAN = (104.0, 117.0, 123.0)
_CAFFE_TYPES = {"activation": "ReLU", "lrn": "LRN", "pool": "Pooling"}
_TYPES_OF_ORDER = ("Convolution", "InnerProduct", *_CAFFE_TYPES.values())
_KINDS = ("kernel", "bias")  # The order of a layer's blobs.


def import_caffe(
    path: Path,
    model_name: str | None = None,
    num_classes: int | None = None,
    bgr_mean: Sequence[float] = BGR_MEAN,
) -> Bundle:
    """Read a .caffemodel; which of the two networks it is, the order of its layers tells.

    Args:
        path: the file, in Caffe's present form (`layer`) or the one before (`layers`).
        model_name: the network that it should be; None for whichever it is.
        num_classes: what it should tell; None for as many as it does.
        bgr_mean: subtracted from every pixel.

    Raises:
        UserError: the file is neither network, or not whole; see `check_tensors`.
    """
    layers = read_caffemodel(path)
    tensors = _named_blobs(path, layers)
    model_name = _which_network(path, layers, tensors, model_name)
    spec = find_spec(model_name)
    output = f"fc{len(spec.convolutions) + len(spec.dense) + 1}/bias"
    found_classes = tensors[output].size if output in tensors else 2
    expected = channels_first_shapes(parameter_shapes(spec, max(found_classes, 2)))
    tensors = {
        name: _without_unit_axes(blob, expected.get(name, blob.shape))
        for name, blob in tensors.items()
    }
    check_tensors(path, tensors, expected, model_name)
    check_num_classes(path, found_classes, num_classes)
    params = channels_last_params(tensors, spec)
    params["conv1"]["kernel"] = np.ascontiguousarray(params["conv1"]["kernel"][:, :, ::-1])
    preprocessing = constant_preprocessing(
        np.array(bgr_mean[::-1], np.float32), np.ones(3), IMAGE_SIZE
    )
    names = name_classes(found_classes)
    return Bundle(model_name, params, preprocessing, names, spec.crop_size)


def _which_network(
    path: Path, layers: Sequence[Layer], tensors: dict[str, np.ndarray], wanted: str | None
) -> str:
    if wanted is not None and wanted not in NETWORKS:
        raise UserError(f"a .caffemodel is {' or '.join(map(repr, NETWORKS))}, not {wanted!r}")
    order = [layer.type for layer in layers if layer.type in _TYPES_OF_ORDER]
    found = [name for name in NETWORKS if _order_of_layers(find_spec(name)) == order]
    if not found:
        what = identify({name: blob.shape for name, blob in tensors.items()})
        raise UserError(
            f"{path} is neither of {' and '.join(map(repr, NETWORKS))}: by its tensors it is "
            f"{what}, and its layers come in another order ({', '.join(order) or 'none'})"
        )
    if wanted is not None and wanted != found[0]:
        raise UserError(f"{path} holds network {found[0]!r}, not {wanted!r}")
    return found[0]


def _order_of_layers(spec: Spec) -> list[str]:
    """Return the types of a network's layers in Caffe's words, from the bottom up."""
    order = []
    for layer in spec.convolutions:
        order += ["Convolution", *(_CAFFE_TYPES[operation] for operation in layer.after)]
    return [*order, *["InnerProduct", "ReLU"] * len(spec.dense), "InnerProduct"]


def _named_blobs(path: Path, layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    tensors = {}
    for layer in layers:
        for position, blob in enumerate(layer.blobs):
            kind = _KINDS[position] if position < len(_KINDS) else f"blob {position}"
            name = f"{layer.name}/{kind}"
            if name in tensors:
                raise UserError(f"{path} has two layers called {layer.name!r}")
            tensors[name] = blob
    return tensors


def _without_unit_axes(blob: np.ndarray, expected: tuple[int, ...]) -> np.ndarray:
    """Drop the leading ones of the old form, which gave every blob four axes."""
    extra = blob.ndim - len(expected)
    if extra > 0 and blob.shape[:extra] == (1,) * extra:
        return blob.reshape(blob.shape[extra:])
    return blob
