"""The environment of a run: versions, commit, devices, command line."""

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
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.cores import processor_name, usable_cores

# fmt: off
_PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets",
    "numba", "numpy", "pillow", "simplejpeg",
)
# fmt: on


def save_environment(workdir: Path, step: int = 0) -> None:
    """Write `environment.json`: that of this start, after `step` steps, and all in "starts"."""
    path = workdir / "environment.json"
    now = describe_environment()
    starts: list[Any] = []
    if path.exists():
        try:
            saved = json.loads(path.read_text())
            starts = list(saved.get("starts", [saved]))  # Early files describe one start.
        except (ValueError, AttributeError, TypeError, RecursionError):
            path.replace(path.with_name(f"{path.name}.damaged"))
    starts.append({"step": step, "time": datetime.now(UTC).isoformat(timespec="seconds"), **now})
    atomic_write(path, json.dumps({**now, "starts": starts}, indent=2) + "\n")


def describe_environment() -> dict[str, Any]:
    """Return what a published number needs beside it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return {
        # As a user would type it, without the paths of this machine.
        "command": ["python", "-m", spec.name, *sys.argv[1:]] if spec else sys.argv,
        "alexnet_jax": alexnet_jax.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
    }


def git_commit() -> str | None:
    """Return this code's commit, with "-modified" if files differ; None outside git."""
    clone = Path(alexnet_jax.__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # An installed package may be inside another repository.
        if Path(git("rev-parse", "--show-toplevel")) != clone:
            return None
        return git("describe", "--always", "--abbrev=40", "--dirty=-modified")
    except (OSError, subprocess.CalledProcessError):
        return None  # No git here, or the code was copied without its history.
