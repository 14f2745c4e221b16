"""Our own weights file: safetensors with our names, and all that a workdir needs."""

import json
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.models import create_model
from alexnet_jax.weights.bundle import STATISTICS, Bundle, Tensors, tensor_shapes
from alexnet_jax.weights.checking import check_class_names, check_crop_size, check_tensors, identify
from alexnet_jax.weights.files import read_safetensors, write_safetensors

_KEY = "alexnet_jax"  # In the metadata: one JSON object, with the version and fields of `Bundle`.
_VERSION = 1
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model_name": str,
    "crop_size": int,
    "dtype": str,
    "changes": list,
    "class_names": list,
    "config": (dict, type(None)),
}
_ATTRIBUTES = {"changes": "modifications"}  # Of `Bundle`, where the file's name is another.
_MEAN, _STD = "preprocessing/mean", "preprocessing/std"


def export_own(bundle: Bundle, path: Path) -> None:
    """Write parameters, running statistics, preprocessing, class names and config.

    The tensors are called "conv1/kernel", "batch_stats/conv1_norm/mean", "preprocessing/mean".
    """
    description = {name: getattr(bundle, _ATTRIBUTES.get(name, name)) for name in _FIELDS}
    description["version"] = _VERSION
    tensors = flatten_dict({**bundle.params, STATISTICS: bundle.batch_stats}, sep="/")
    tensors |= {_MEAN: bundle.preprocessing.mean, _STD: bundle.preprocessing.std}
    write_safetensors(path, tensors, {_KEY: json.dumps(description)})


def import_own(path: Path) -> Bundle:
    """Read a file that `export_own` wrote."""
    tensors, metadata = read_safetensors(path)
    fields = _read_fields(path, metadata, tensors)
    model_name, num_classes = fields["model_name"], len(fields["class_names"])
    check_class_names(path, fields["class_names"], num_classes)
    missing = [name for name in (_MEAN, _STD) if name not in tensors]
    if missing:
        raise UserError(f"{path}: {' and '.join(missing)} missing; export it again")
    try:
        preprocessing = Preprocessing(tensors.pop(_MEAN), tensors.pop(_STD))
    except ValueError as error:
        raise UserError(f"{path}: {error} ({_MEAN}, {_STD}); export it again") from error
    check_crop_size(path, fields["crop_size"], preprocessing)
    fields["modifications"] = fields.pop("changes")
    spec = create_model(model_name, num_classes, modifications=fields["modifications"]).spec
    check_tensors(path, tensors, tensor_shapes(spec, num_classes), model_name)
    params = unflatten_dict(tensors, sep="/")
    batch_stats = params.pop(STATISTICS, {})
    return Bundle(params=params, batch_stats=batch_stats, preprocessing=preprocessing, **fields)


def _read_fields(path: Path, metadata: dict[str, str], tensors: Tensors) -> dict[str, Any]:
    if _KEY not in metadata:
        raise UserError(
            f"{path} is not a weights file of alexnet_jax but {identify(tensors)}; give "
            "--format=torchvision for a file with torchvision's names"
        )
    try:
        description = json.loads(metadata[_KEY])
        version = int(description["version"])
        fields = {name: description[name] for name in _FIELDS}
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: its description is damaged ({error})") from error
    if version != _VERSION:
        raise UserError(f"{path} is of version {version}, this program reads {_VERSION}")
    wrong = [name for name, types in _FIELDS.items() if not isinstance(fields[name], types)]
    if wrong or not all(isinstance(change, str) for change in fields["changes"]):
        raise UserError(f"{path}: its description has wrong types: {wrong or ['modifications']}")
    return fields
