"""torchvision's AlexNet: the names and the input of its weights files.

Source: torchvision/models/alexnet.py.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec, find_spec
from alexnet_jax.weights.bundle import Bundle, constant_preprocessing
from alexnet_jax.weights.checking import check_class_names, check_crop_size
from alexnet_jax.weights.files import read_safetensors, read_torch, write_safetensors
from alexnet_jax.weights.layout import channels_first, convert_params

MODEL = "owt"
# The modules that hold parameters, numbered as in the two `nn.Sequential`.
_MODULES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}
_KINDS = {"kernel": "weight", "bias": "bias"}
_METADATA_KEY = "alexnet_jax"
_LARGEST_IMAGE = 4096  # A mean image of this side takes 200 MB, and a file can claim any side.


def import_torchvision(path: Path, model_name: str | None = None) -> Bundle:
    """Read a `state_dict` with torchvision's names: .safetensors, or .pth if PyTorch is installed.

    The input is torchvision's, (RGB / 255 - mean) / std, unless the metadata describe another.
    """
    model_name = model_name or MODEL
    spec = find_spec(model_name)
    _check_layers(spec, model_name)
    if path.suffix == ".safetensors":
        tensors, metadata = read_safetensors(path)
    else:
        tensors, metadata = read_torch(path), {}
    params = convert_params(path, tensors, model_name, torchvision_name)
    num_classes = params[spec.output_name]["bias"].size
    preprocessing = constant_preprocessing(TORCHVISION_MEAN, TORCHVISION_STD)
    names, crop_size = None, spec.crop_size
    if _METADATA_KEY in metadata:
        preprocessing, names, crop_size = _read_metadata(path, metadata[_METADATA_KEY])
    class_names = check_class_names(path, names, num_classes)
    return Bundle(model_name, params, preprocessing, class_names, crop_size)


def export_torchvision(bundle: Bundle, path: Path) -> None:
    """Write .safetensors that torchvision's AlexNet loads with a strict `load_state_dict`.

    The metadata describe the network's input as JSON: the mean is three numbers if it is the same
    for all pixels, else base64 of float32 [S, S, 3].
    """
    spec, mean = bundle.model.spec, bundle.preprocessing.mean.astype("<f4")
    _check_layers(spec, " with ".join([bundle.model_name, *bundle.modifications]))
    tensors = {
        torchvision_name(name): channels_first(name, tensor, spec)
        for name, tensor in flatten_dict(bundle.params, sep="/").items()
    }
    if (mean == mean[0, 0]).all():
        mean_as_json = mean[0, 0].tolist()
    else:
        mean_as_json = base64.b64encode(mean.tobytes()).decode()
    std = bundle.preprocessing.std.tolist()
    extra = {
        "preprocessing": {"image_size": bundle.image_size, "mean": mean_as_json, "std": std},
        "class_names": bundle.class_names,
        "crop_size": bundle.crop_size,
    }
    write_safetensors(path, tensors, {"format": "pt", _METADATA_KEY: json.dumps(extra)})


def has_torchvision_input(bundle: Bundle) -> bool:
    """Say whether the network's input is what torchvision's own transforms produce."""
    ours = bundle.preprocessing
    same_mean = np.allclose(ours.mean, TORCHVISION_MEAN)
    return bool(same_mean and np.allclose(ours.std, TORCHVISION_STD))


def torchvision_name(name: str) -> str:
    """Turn "conv2/kernel" into "features.3.weight"."""
    layer, _, kind = name.partition("/")
    return f"{_MODULES[layer]}.{_KINDS[kind]}"


def _check_layers(spec: Spec, model_name: str) -> None:
    """Raise UserError unless the network differs from torchvision's AlexNet in its widths only."""
    if _without_widths(spec) != _without_widths(find_spec(MODEL)):
        raise UserError(
            f"torchvision's AlexNet is network {MODEL!r} and cannot hold {model_name!r}, which has "
            "other layers; give --format=safetensors"
        )


def _without_widths(spec: Spec) -> tuple[Any, ...]:
    convolutions = [
        (layer.window, layer.stride, layer.padding, layer.groups, layer.after)
        for layer in spec.convolutions
    ]
    dense = [layer.groups for layer in spec.dense]
    norms = (spec.normalization, spec.spatial_normalization)
    return convolutions, dense, norms, spec.pooling, spec.activation


def _read_metadata(path: Path, text: str) -> tuple[Preprocessing, Any, int]:
    """Return the preprocessing, the class names (not checked) and the crop size."""
    try:
        extra = json.loads(text)
        values = extra["preprocessing"]
        mean, size, std = values["mean"], int(values["image_size"]), np.array(values["std"])
        if not 1 <= size <= _LARGEST_IMAGE:
            raise ValueError(f"images of {size} pixels, at most {_LARGEST_IMAGE} are allowed")
        if isinstance(mean, str):
            image = np.frombuffer(base64.b64decode(mean, validate=True), "<f4")
            image = image.reshape(size, size, 3)
        else:
            image = np.broadcast_to(np.asarray(mean, np.float32), (size, size, 3))
        preprocessing = Preprocessing(image.astype(np.float32), std.astype(np.float32).reshape(3))
        crop_size, class_names = int(extra["crop_size"]), extra.get("class_names")
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: its metadata is damaged ({error}); export it again") from error
    check_crop_size(path, crop_size, preprocessing)
    return preprocessing, class_names, crop_size
