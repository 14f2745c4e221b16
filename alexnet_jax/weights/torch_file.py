"""Reading PyTorch's .pth, the one place that needs PyTorch."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.errors import UserError
from alexnet_jax.weights.files import require_file


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a saved `state_dict`, as float32.

    PyTorch's own restricted reader does the work: it builds tensors and containers, and runs no
    code that the file may carry.

    Raises:
        UserError: PyTorch is not installed; the file is no such file, is cut short, carries code,
            or holds something else than a `state_dict`.
    """
    require_file(path)
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{path} needs PyTorch to be read: pip install torch; or save it elsewhere with "
            "safetensors.torch.save_file and import the .safetensors"
        ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message advises to read the file without the restriction: not passed on.
        raise UserError(
            f"{path} holds objects that could be code, or is damaged, or no .pth file; nothing of "
            "it was run. Only a saved state_dict is read: torch.save(model.state_dict(), FILE)"
        ) from error
    except Exception as error:  # A damaged pickle raises whatever its opcodes meet.
        raise UserError(f"{path} is truncated or no .pth file; download it again") from error
    return _state_dict(path, loaded)


def _state_dict(path: Path, loaded: object) -> dict[str, np.ndarray]:
    import torch

    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds a {type(loaded).__name__}, not a state_dict")
    others = [str(name) for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise UserError(
            f"{path} is no state_dict: {', '.join(others[:4])} are no tensors; of a whole training "
            'checkpoint save its "state_dict" alone'
        )
    problems = [
        f"{name} {problem}" for name, tensor in loaded.items() if (problem := _problem(tensor))
    ]
    if problems:
        raise UserError(
            f"{path}: {'; '.join(problems[:4])}; save plain tensors: "
            "torch.save(model.cpu().state_dict(), FILE)"
        )
    # Detached: an nn.Parameter is a tensor whose gradient is recorded.
    return {str(name): value.detach().to(torch.float32).numpy() for name, value in loaded.items()}


def _problem(tensor: Any) -> str | None:
    """Say what keeps a tensor from being read; None for a plain one whose numbers are all there."""
    import torch

    if tensor.layout != torch.strided:
        return "is sparse"
    if tensor.is_quantized:
        return "is quantised"
    if tensor.device.type != "cpu":
        return f"has no numbers (device {tensor.device.type!r})"
    if not tensor.is_floating_point():
        return f"is {str(tensor.dtype).removeprefix('torch.')}, not floating point"
    # A stride of 0 makes gigabytes of one number.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims {tensor.numel():,} numbers, more than the file holds"
    return None
