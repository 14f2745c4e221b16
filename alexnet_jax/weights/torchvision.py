"""torchvision's AlexNet: the names, the layout and the input of its weights files.

Source: torchvision/models/alexnet.py. Its layers are numbered as the two `nn.Sequential` count
them: `features` holds convolutions, ReLU and pooling, `classifier` dropout, connection, ReLU.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.data.images import IMAGE_SIZE
from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec, find_spec
from alexnet_jax.weights.bundle import Bundle, flatten, parameter_shapes
from alexnet_jax.weights.checking import (
    check_class_names,
    check_num_classes,
    check_tensors,
    identify,
)
from alexnet_jax.weights.classes import name_classes
from alexnet_jax.weights.layout import channels_first, channels_first_shapes, channels_last_params
from alexnet_jax.weights.preprocessing_text import (
    constant_preprocessing,
    is_constant,
    preprocessing_from_text,
    preprocessing_to_text,
)
from alexnet_jax.weights.safetensors_file import read_safetensors, write_safetensors
from alexnet_jax.weights.torch_file import read_torch

MODEL = "owt"
_KINDS = {"kernel": "weight", "bias": "bias"}
_METADATA_KEY = "alexnet_jax"


def import_torchvision(
    path: Path, model_name: str | None = None, num_classes: int | None = None
) -> Bundle:
    """Read a `state_dict` with torchvision's names: .safetensors, or .pth where PyTorch is at hand.

    The input is torchvision's (RGB over 255, minus a mean, over a deviation), unless the file was
    written by `export_torchvision` and says otherwise.

    Raises:
        UserError: the file is not that network, whole; see `check_tensors`.
    """
    model_name = model_name or MODEL
    spec = find_spec(model_name)
    names = parameter_names(spec, model_name)
    if path.suffix == ".safetensors":
        tensors, metadata = read_safetensors(path)
    else:
        tensors, metadata = read_torch(path), {}
    output = names[f"fc{len(names) // 2}/bias"]
    if output not in tensors:
        found = identify({name: tensor.shape for name, tensor in tensors.items()})
        raise UserError(f"{path} is not network {model_name!r} but {found}: {output} is missing")
    found_classes = tensors[output].size
    expected = channels_first_shapes(parameter_shapes(spec, max(found_classes, 2)))
    check_tensors(
        path, tensors, {names[name]: shape for name, shape in expected.items()}, model_name
    )
    check_num_classes(path, found_classes, num_classes)
    ours = {name: tensors[theirs] for name, theirs in names.items()}
    preprocessing, class_names, crop_size = torchvision_preprocessing(), None, spec.crop_size
    if _METADATA_KEY in metadata:
        preprocessing, class_names, crop_size = _read_metadata(path, metadata[_METADATA_KEY])
    class_names = class_names or name_classes(found_classes)
    check_class_names(path, class_names, found_classes)
    params = channels_last_params(ours, spec)
    return Bundle(model_name, params, preprocessing, class_names, crop_size)


def _read_metadata(path: Path, text: str) -> tuple[Preprocessing, list[str] | None, int]:
    """Return what `export_torchvision` said of the input: preprocessing, names, crop size."""
    try:
        extra = json.loads(text)
        preprocessing = preprocessing_from_text(extra["preprocessing"])
        crop_size = int(extra["crop_size"])
        class_names = extra.get("class_names")
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise UserError(f"{path}: its metadata is damaged ({error}); export it again") from error
    if not 1 <= crop_size <= len(preprocessing.mean):
        raise UserError(
            f"{path}: its crops of {crop_size} do not fit images of {len(preprocessing.mean)}"
        )
    return preprocessing, class_names, crop_size


def export_torchvision(bundle: Bundle, path: Path) -> None:
    """Write .safetensors that torchvision's AlexNet loads with `load_state_dict`, strictly.

    What the input must be stands in the file's metadata.

    Raises:
        UserError: torchvision's class cannot express the network.
    """
    spec = bundle.model.spec
    names = parameter_names(spec, " with ".join([bundle.model_name, *bundle.changes]))
    tensors = {
        names[name]: channels_first(name, tensor, spec)
        for name, tensor in flatten(bundle.params).items()
    }
    extra = {
        "preprocessing": preprocessing_to_text(bundle.preprocessing),
        "class_names": bundle.class_names,
        "crop_size": bundle.crop_size,
    }
    write_safetensors(path, tensors, {"format": "pt", _METADATA_KEY: json.dumps(extra)})


def torchvision_preprocessing() -> Preprocessing:
    """Return torchvision's input on the 0-255 scale: (x - 255·mean) / (255·std)."""
    return constant_preprocessing(TORCHVISION_MEAN, TORCHVISION_STD, IMAGE_SIZE)


def has_torchvision_input(bundle: Bundle) -> bool:
    """Say whether torchvision's own transforms make the input that the network was trained with."""
    ours, theirs = bundle.preprocessing, torchvision_preprocessing()
    constant = is_constant(ours) and bool(np.allclose(ours.mean[0, 0], theirs.mean[0, 0]))
    return constant and bool(np.allclose(ours.std, theirs.std))


def parameter_names(spec: Spec, model_name: str) -> Mapping[str, str]:
    """Return torchvision's name of every parameter: "conv2/kernel" is "features.3.weight".

    Raises:
        UserError: the network has other layers than torchvision's AlexNet.
    """
    if _without_widths(spec) != _without_widths(find_spec(MODEL)):
        raise UserError(
            f"torchvision's AlexNet is network {MODEL!r} and cannot hold {model_name!r}, whose "
            "layers are others; give --format=safetensors"
        )
    modules = {}
    index = 0
    for number, layer in enumerate(spec.convolutions, 1):
        modules[f"conv{number}"] = f"features.{index}"
        index += 1 + len(layer.after)
    first = len(spec.convolutions) + 1
    for number in range(len(spec.dense) + 1):
        # Dropout, connection and ReLU are three modules; the output has no dropout before it.
        index = 3 * number + (0 if number == len(spec.dense) else 1)
        modules[f"fc{first + number}"] = f"classifier.{index}"
    return {
        f"{layer}/{ours}": f"{module}.{theirs}"
        for layer, module in modules.items()
        for ours, theirs in _KINDS.items()
    }


def _without_widths(spec: Spec) -> tuple[Any, ...]:
    """Return what torchvision's class fixes; the widths are left to its weights."""
    convolutions = [
        (layer.window, layer.stride, layer.padding, layer.groups, layer.after)
        for layer in spec.convolutions
    ]
    dense = [layer.groups for layer in spec.dense]
    norms = (spec.normalization, spec.spatial_normalization)
    return convolutions, dense, norms, spec.pooling, spec.activation
