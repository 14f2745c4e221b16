"""Reading and writing .safetensors: tensors by name, texts by name, no code."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights.bundle import Tensors
from alexnet_jax.weights.files import exported_file, require_file

_READABLE = ("F16", "F32", "F64")
_LENGTH_BYTES = 8  # The file begins with its header's length: a little-endian uint64.


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a file's tensors, as float32, and its metadata.

    Raises:
        UserError: it is no such file, is cut short, or holds other numbers than floats.
    """
    require_file(path)
    _check_length(path)
    tensors = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 It is no dict.
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _READABLE:
                    raise UserError(
                        f"{path}: {name} is {dtype}; save it as one of {', '.join(_READABLE)}"
                    )
                tensors[name] = file.get_tensor(name).astype(np.float32)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    return tensors, metadata


def write_safetensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write tensors and texts, whole or not at all."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with exported_file(path) as temporary:
        save_file(contiguous, temporary, dict(metadata))


def _check_length(path: Path) -> None:
    """Raise UserError if the file is shorter than its header says; others are left to the reader.

    safetensors itself only says that the header does not cover the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = file.read(length) if length < size else b""
    try:
        ends = [
            entry["data_offsets"][1]
            for name, entry in json.loads(header).items()
            if name != "__metadata__"
        ]
        needed = _LENGTH_BYTES + length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return
    if size < needed:
        raise UserError(f"{path} is truncated: {size:,} of {needed:,} bytes; download it again")
