"""Weights in and out: torchvision, Caffe, safetensors, StableHLO.

Nothing heavy is imported before it is used: `python -m alexnet_jax.weights --help` must not wait.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet_jax.weights.bundle import Bundle
    from alexnet_jax.weights.formats import export_weights, import_weights
    from alexnet_jax.weights.workdirs import read_workdir, write_workdir

__all__ = ["Bundle", "export_weights", "import_weights", "read_workdir", "write_workdir"]

_ROOMS = {
    "Bundle": "bundle",
    "export_weights": "formats",
    "import_weights": "formats",
    "read_workdir": "workdirs",
    "write_workdir": "workdirs",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
