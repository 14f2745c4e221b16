"""Where a number came from: versions, commit, devices, command line."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import alexnet_jax
from alexnet_jax.atomic_write import atomic_write
from alexnet_jax.cores import usable_cores

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


def save_environment(workdir: Path, step: int = 0) -> None:
    """Write `environment.json`: this start's, and under "starts" those of all, the first first.

    Args:
        workdir: of the run.
        step: completed steps at this start.
    """
    path = workdir / "environment.json"
    now = describe_environment()
    start = {"step": step, "time": datetime.now(UTC).isoformat(timespec="seconds"), **now}
    starts = [*_read_starts(path), start]
    atomic_write(path, json.dumps({**now, "starts": starts}, indent=2) + "\n")


def _read_starts(path: Path) -> list[Any]:
    """Return the starts so far; a file of before they were kept holds the last of them."""
    if not path.exists():
        return []
    try:
        environment = json.loads(path.read_text())
        return list(environment.get("starts", [environment]))
    except (ValueError, AttributeError, TypeError, RecursionError):
        path.replace(path.with_name(f"{path.name}.damaged"))
        return []


def describe_environment() -> dict[str, Any]:
    """Return what a number's reader would ask for."""
    return {
        "command": _command(),
        "alexnet_jax": alexnet_jax.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
    }


def _command() -> list[str]:
    """Return the command line as one would type it, without the paths of this machine."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["python", "-m", spec.name, *sys.argv[1:]] if spec else sys.argv


def git_commit() -> str | None:
    """Return this code's commit, "-modified" behind it where files differ; None outside git."""
    clone = Path(alexnet_jax.__file__).resolve().parents[1]
    try:
        # An installed package may lie inside somebody else's repository.
        if Path(_git(clone, "rev-parse", "--show-toplevel")) != clone:
            return None
        return _git(clone, "describe", "--always", "--abbrev=40", "--dirty=-modified")
    except (OSError, subprocess.CalledProcessError):
        return None  # No git here, or the code was copied without its history.


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
