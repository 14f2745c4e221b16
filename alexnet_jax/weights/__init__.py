"""Import and export trained weights: torchvision, Caffe, safetensors, StableHLO."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet_jax.weights.bundle import Bundle
    from alexnet_jax.weights.formats import export_weights, import_weights
    from alexnet_jax.weights.workdirs import read_workdir, write_workdir

__all__ = ["Bundle", "export_weights", "import_weights", "read_workdir", "write_workdir"]

_MODULES = {
    "Bundle": "bundle",
    "export_weights": "formats",
    "import_weights": "formats",
    "read_workdir": "workdirs",
    "write_workdir": "workdirs",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that --help does not wait for JAX."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
