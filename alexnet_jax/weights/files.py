"""Files of tensors: safetensors and PyTorch's .pth. Reading one never runs code that it holds."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.system.output_file import output_file
from alexnet_jax.weights.bundle import Tensors

_READABLE = ("F16", "F32", "F64")
_LENGTH_BYTES = 8  # A safetensors file begins with its header's length: a little-endian uint64.


def require_file(path: Path) -> None:
    """Raise UserError unless `path` is a file that is not empty."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty")


def write_safetensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write tensors and texts."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with output_file(path) as temporary:
        save_file(contiguous, temporary, dict(metadata))


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a file's tensors, as float32, and its metadata."""
    require_file(path)
    _check_length(path)
    tensors = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 It is not a dict.
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _READABLE:
                    raise UserError(
                        f"{path}: {name} is {dtype}; save it as one of {', '.join(_READABLE)}"
                    )
                tensors[name] = file.get_tensor(name).astype(np.float32)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    return tensors, metadata


def _check_length(path: Path) -> None:
    """Raise UserError if the file is shorter than its header says.

    safetensors would only say that the header does not cover the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = file.read(length) if length < size else b""
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        needed = _LENGTH_BYTES + length + end
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # safetensors refuses a damaged header.
    if size < needed:
        raise UserError(f"{path} is truncated: {size:,} of {needed:,} bytes; download it again")


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a saved `state_dict`, as float32.

    PyTorch's restricted reader builds tensors and containers, and runs no code from the file.
    """
    require_file(path)
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{path} can only be read with PyTorch: pip install torch; or save it elsewhere with "
            "safetensors.torch.save_file and import the .safetensors"
        ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's message advises to switch the restriction off, so it is not shown.
        raise UserError(
            f"{path} holds objects that could be code, or is damaged, or no .pth file; nothing of "
            "it was run. Only a saved state_dict is read: torch.save(model.state_dict(), FILE)"
        ) from error
    except Exception as error:  # A damaged pickle can raise anything.
        raise UserError(f"{path} is truncated or no .pth file; download it again") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds a {type(loaded).__name__}, not a state_dict")
    problems = [f"{name} {each}" for name, value in loaded.items() if (each := _problem(value))]
    if problems:
        raise UserError(
            f"{path}: {'; '.join(problems[:4])}; save plain tensors: "
            "torch.save(model.cpu().state_dict(), FILE), of a whole training checkpoint only its "
            '"state_dict"'
        )
    # Detached because NumPy refuses an nn.Parameter, which records gradients.
    return {str(name): value.detach().to(torch.float32).numpy() for name, value in loaded.items()}


def _problem(tensor: Any) -> str | None:
    """Return why a value of a `state_dict` cannot be read, or None if it can."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        return "is no tensor"
    if tensor.layout != torch.strided:
        return "is sparse"
    if tensor.is_quantized:
        return "is quantized"
    if tensor.device.type != "cpu":
        return f"has no numbers (device {tensor.device.type!r})"
    if not tensor.is_floating_point():
        return f"is {str(tensor.dtype).removeprefix('torch.')}, not floating point"
    # A stride of 0 expands one number to gigabytes.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims {tensor.numel():,} numbers, more than the file holds"
    return None
