"""Where a number came from: versions, commit, devices, command line."""

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import alexnet_jax
from alexnet_jax.whole_file import write_whole

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "tensorflow-datasets",
    "numba",
    "numpy",
    "pillow",
    "simplejpeg",
)


def save_environment(workdir: Path) -> None:
    """Write `environment.json`."""
    write_whole(workdir / "environment.json", json.dumps(describe_environment(), indent=2) + "\n")


def describe_environment() -> dict[str, Any]:
    """Return what a number's reader would ask for."""
    return {
        "command": _command(),
        "alexnet_jax": alexnet_jax.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
    }


def _command() -> list[str]:
    """Return the command line as one would type it, without the paths of this machine."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["python", "-m", spec.name, *sys.argv[1:]] if spec else sys.argv


def git_commit() -> str | None:
    """Return this code's commit, "-modified" behind it where files differ; None outside git."""
    folder = Path(alexnet_jax.__file__).parent
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=-modified"]
    try:
        described = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # No git here, or the code was copied without its history.
    return described.stdout.strip()
