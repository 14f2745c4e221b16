"""The files of a workdir that say what its run is, and the refusal to mix two runs in one."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.atomic_write import atomic_write
from alexnet_jax.config.saved import differences, load_config, save_config
from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.views import VIEWS
from alexnet_jax.folder_lock import FolderLock
from alexnet_jax.training.data_facts import save_facts
from alexnet_jax.training.experiment import Run
from alexnet_jax.training.logging import SCORES, has_numbers
from alexnet_jax.training.provenance import save_environment


def check_same_run(workdir: Path, config: ConfigDict) -> None:
    """Raise UserError if `workdir` holds a run whose numbers come from another config."""
    if not (workdir / "config.json").exists():
        return
    changed = differences(load_config(workdir), config)
    if changed:
        raise UserError(
            f"{workdir} holds a run with another config ({'; '.join(changed)}); give its values, "
            "those left of the arrows, as --config.KEY=VALUE, or another --workdir, or "
            "--resume=ignore_config to go on with the new ones"
        )


def make_workdir(workdir: Path) -> None:
    """Make the folder, and see that it can be written to.

    Raises:
        UserError: it is closed to this user, or cannot be a folder.
        MachineError: the disk is full, or fails.
    """
    try:
        with full_disk_reported(workdir, "the run's files"):
            workdir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=workdir):
                pass
    except UserError as error:
        raise type(error)(f"cannot write to --workdir={workdir}: {error}") from error


def check_same_data(workdir: Path, changes: Sequence[str]) -> None:
    """Raise UserError if the data differ from those that the run in `workdir` began with."""
    if changes:
        raise UserError(
            f"{workdir} holds a run that began with other data ({'; '.join(changes)}); give those "
            "with --config.data.dir, or another --workdir (--config.train.init_from begins it with "
            "these parameters), or --resume=ignore_config to go on with the data as they are"
        )


def workdir_lock(workdir: Path) -> FolderLock:
    """Return the lock that keeps a second run out of `workdir`, not yet taken."""
    return FolderLock(
        workdir / "run.lock",
        held=f"another run is training in {workdir}",
        way_out="wait for it, stop it, or give another --workdir",
    )


def describe_run(workdir: Path, config: ConfigDict, run: Run, step: int) -> None:
    """Write what the run is, before it takes the step after `step`.

    What it stands on besides its parameters is stored beside them, so that a workdir stands alone.
    """
    save_environment(workdir, step)
    save_facts(run.facts, workdir)
    save_config(config, workdir)


def read_result(workdir: Path, steps: int) -> dict[str, Any] | None:
    """Return result.json if the run has completed all `steps`, else None.

    A damaged one counts as missing, with a warning: log and checkpoints hold all that it said.
    """
    path = workdir / "result.json"
    try:
        result = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError):
        result = None
    damage = _find_damage(result)
    if damage is not None:
        print(f"warning: {path} is damaged ({damage}); it is written anew", file=sys.stderr)
        return None
    return result if result["step"] == steps else None


def _find_damage(result: Any) -> str | None:
    """Say what a result lacks of what is read of it; None if it has all."""
    if not has_numbers(result, ["step"]):
        return "it holds no object with a step"
    lacking = [views for views in VIEWS if not has_numbers(result.get(views), SCORES)]
    return f"{lacking[0]} lacks one of {', '.join(SCORES)}" if lacking else None


def write_result(workdir: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Write result.json, whole or not at all, and return what it says."""
    atomic_write(workdir / "result.json", json.dumps(result, indent=2) + "\n")
    return result
