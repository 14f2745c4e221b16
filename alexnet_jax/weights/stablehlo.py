"""Networks as StableHLO programs, with preprocessing and parameters, for `jax.export`.

The file is the program as JAX serializes it, followed by a zip archive that holds description.json:
class names and what else the program cannot say of itself. JAX ignores what follows a program, and
zip readers what precedes an archive, so `unzip -p FILE description.json` prints the description.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.errors import UserError
from alexnet_jax.system.output_file import output_file
from alexnet_jax.weights.bundle import Bundle
from alexnet_jax.weights.checking import check_class_names
from alexnet_jax.weights.files import require_file

_DESCRIPTION = "description.json"
_MOST_BYTES = 1 << 24  # Of a description.


@dataclass(frozen=True, eq=False)
class Program:
    """An exported network."""

    # (uint8 [b, S, S, 3], RGB, for any b) -> probabilities, float32 [b, classes]. It cuts out the
    # center crop itself.
    call: Callable[[Any], jax.Array]
    image_size: int  # S.
    class_names: list[str]  # Of the outputs, in order.
    model_name: str | None  # None for files without a description.
    data: str | None  # Name of the data set that the network was trained on; None if unknown.


def export_program(bundle: Bundle, path: Path) -> None:
    """Write the network as a program that runs on CPUs, CUDA GPUs and TPUs; see `Program.call`."""

    def classify(images: jax.Array) -> jax.Array:
        crops = bundle.preprocessing(center_crop(images, bundle.crop_size))
        return jax.nn.softmax(bundle.model.apply(bundle.variables, crops, train=False))

    size = bundle.image_size
    shape = export.symbolic_shape(f"b, {size}, {size}, 3")
    images = jax.ShapeDtypeStruct(shape, jnp.uint8)
    program = export.export(jax.jit(classify), platforms=("cpu", "cuda", "tpu"))(images)
    description = {
        "model_name": bundle.model_name,
        "class_names": bundle.class_names,
        "crop_size": bundle.crop_size,
        "data": bundle.data,
    }
    with output_file(path) as temporary:
        temporary.write_bytes(program.serialize())
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_DESCRIPTION, json.dumps(description))


def read_program(path: Path) -> Program:
    """Read a program that `export_program` wrote, with or without its description.

    Calling a program runs what the file says: read only files that you trust.

    Raises:
        UserError: the file holds no such program, or its description is damaged.
    """
    require_file(path)
    try:
        program = export.deserialize(bytearray(path.read_bytes()))
        (taken,), (given,) = program.in_avals, program.out_avals
        _, size, *_ = taken.shape
        _, num_classes = given.shape
        fits = (str(taken.dtype), *taken.shape[1:]) == ("uint8", size, size, 3)
    except Exception as error:  # Whatever the reader raises for bytes that are no program.
        raise UserError(
            f"{path} is truncated or no StableHLO program of `weights export`: {error}"
        ) from error
    if not fits:
        raise UserError(f"{path} takes {taken}, not images uint8 [b, S, S, 3]; export it again")
    description = _read_description(path)
    names = check_class_names(path, description.get("class_names"), num_classes)
    about = description.get("model_name"), description.get("data")
    return Program(jax.jit(program.call), size, names, *about)


def _read_description(path: Path) -> dict[str, Any]:
    """Return the description; {} for files that were written before there was one."""
    if not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_DESCRIPTION).file_size > _MOST_BYTES:
                raise ValueError("it is too large")
            description = json.loads(archive.read(_DESCRIPTION))
        if not isinstance(description, dict):
            raise ValueError("it is no object")
        return description
    except Exception as error:  # zipfile's, zlib's, json's, ...
        raise UserError(f"{path}: its description is damaged ({error}); export it again") from error
