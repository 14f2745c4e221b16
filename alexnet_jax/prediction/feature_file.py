"""Files of features, .npz or .safetensors, written in memory that their size does not change."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from alexnet_jax.errors import UserError
from alexnet_jax.prediction.features import Features
from alexnet_jax.system.output_file import check_output, output_file

_PATHS = "paths"
_PATHS_AT_ONCE = 4096

_Shapes = Mapping[str, tuple[int, ...]]


def check_feature_file(path: Path) -> None:
    """Raise UserError if `path` cannot be written, or is neither .npz nor .safetensors."""
    check_output(path, (".npz", ".safetensors"))


def write_features(path: Path, shapes: _Shapes, features: Iterable[Features]) -> int:
    """Write an array for each layer, float32 [N, ...], and the N paths; return N.

    In a .npz the paths are an array of texts, "paths"; in a .safetensors they are a JSON list in
    the metadata. The number of images is known only at the end, so the activations are first
    written to temporary files in the same folder, which needs the space twice.

    Args:
        path: File to write.
        shapes: Shapes of one image's activations, by layer.
        features: Activations of a few images at a time.

    Raises:
        UserError: as for `check_feature_file`, and if there are no images.
    """
    check_feature_file(path)
    with ExitStack() as stack, output_file(path) as unfinished:
        layers = {
            layer: stack.enter_context(TemporaryFile(dir=unfinished.parent)) for layer in shapes
        }
        paths: list[str] = []
        for part in features:
            paths += map(str, part.paths)
            for layer, file in layers.items():
                file.write(np.ascontiguousarray(part.activations[layer], "<f4").data)
        if not paths:
            raise UserError(f"{path} is not written: none of the images can be read")
        for file in layers.values():
            file.seek(0)
        with unfinished.open("wb") as out:
            write = _write_npz if path.suffix.lower() == ".npz" else _write_safetensors
            write(out, {layer: (len(paths), *shapes[layer]) for layer in shapes}, layers, paths)
    return len(paths)


def _write_npz(
    out: IO[bytes], shapes: _Shapes, layers: Mapping[str, IO[bytes]], paths: list[str]
) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for layer, file in layers.items():
            with archive.open(f"{layer}.npy", "w", force_zip64=True) as member:
                _write_header(member, "<f4", shapes[layer])
                shutil.copyfileobj(file, member)
        dtype = f"<U{max(map(len, paths))}"
        with archive.open(f"{_PATHS}.npy", "w", force_zip64=True) as member:
            _write_header(member, dtype, (len(paths),))
            for first in range(0, len(paths), _PATHS_AT_ONCE):
                member.write(np.array(paths[first : first + _PATHS_AT_ONCE], dtype).tobytes())


def _write_header(member: IO[bytes], dtype: str, shape: tuple[int, ...]) -> None:
    description: dict[str, Any] = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, description)


def _write_safetensors(
    out: IO[bytes], shapes: _Shapes, layers: Mapping[str, IO[bytes]], paths: list[str]
) -> None:
    """Write the header's length, the header and the tensors, as safetensors' format describes."""
    header: dict[str, Any] = {"__metadata__": {_PATHS: json.dumps(paths)}}
    end = 0
    for layer, shape in shapes.items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[layer] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # Tensors are aligned.
    out.write(len(text).to_bytes(8, "little") + text)
    for file in layers.values():
        shutil.copyfileobj(file, out)
