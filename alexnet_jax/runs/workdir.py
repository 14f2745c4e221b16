"""The files that describe a run, and the checks that a workdir holds one run only."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import score_names
from alexnet_jax.evaluation.views import VIEWS
from alexnet_jax.monitoring.provenance import save_environment
from alexnet_jax.runs.data_facts import save_facts
from alexnet_jax.runs.reading import DIVERGED, has_numbers, read_json
from alexnet_jax.runs.run import Run
from alexnet_jax.runs.saved_config import differences, load_config, save_config
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.system.folder_lock import FolderLock


def make_workdir(workdir: Path) -> None:
    """Make the folder. UserError: this user cannot write to it; MachineError: the disk fails."""
    try:
        with full_disk_reported(workdir, "the run's files"):
            workdir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=workdir):
                pass
    except UserError as error:
        raise type(error)(
            f"cannot write to --workdir={workdir} ({error}); give a folder that you may write to"
        ) from error


def check_same_run(workdir: Path, config: ConfigDict) -> None:
    """Raise UserError if `workdir` holds a run whose config gives other numbers."""
    if not (workdir / "config.json").exists():
        return
    changed = differences(load_config(workdir), config)
    if changed:
        raise UserError(
            f"{workdir} holds a run with another config ({'; '.join(changed)}); give its values, "
            "left of the arrows, as --config.KEY=VALUE, or another --workdir, or "
            "--resume=ignore_config to resume with the new ones"
        )


def check_same_data(workdir: Path, changes: Sequence[str]) -> None:
    """Raise UserError if the data have changed since the run in `workdir` started."""
    if changes:
        raise UserError(
            f"{workdir} holds a run that started with other data ({'; '.join(changes)}); give "
            "those with --config.data.dir, or another --workdir (--config.train.init_from starts "
            "it with these parameters), or --resume=ignore_config to resume with the data as they "
            "are"
        )


def workdir_lock(workdir: Path) -> FolderLock:
    """Return the lock that keeps a second run out of `workdir`; it is not yet acquired."""
    return FolderLock(
        workdir / "run.lock",
        held=f"another run is training in {workdir}",
        way_out="wait for it, stop it, or give another --workdir",
    )


def describe_run(workdir: Path, run: Run, step: int) -> None:
    """Write config, data facts and environment, before the run continues from `step`."""
    (workdir / DIVERGED).unlink(missing_ok=True)
    save_environment(workdir, step)
    save_facts(run.facts, workdir)
    save_config(run.experiment.config, workdir)


def read_result(workdir: Path, steps: int) -> dict[str, Any] | None:
    """Return result.json if the run has completed all `steps`, else None.

    A damaged file counts as missing, with a warning: log and checkpoints hold all its numbers.
    """
    path = workdir / "result.json"
    if not path.exists():
        return None
    result = read_json(path) or {}
    if damage := find_damage(result):
        print(f"warning: {path} is damaged ({damage}); it is rewritten", file=sys.stderr)
        return None
    return result if result["step"] == steps else None


def find_damage(result: Mapping[str, Any]) -> str | None:
    """Return which numbers of a result are missing; None if it has all."""
    if not has_numbers(result, ["step"]):
        return "it holds no object with a step"
    lacking = [views for views in VIEWS if not has_numbers(result.get(views), score_names())]
    return f"{lacking[0]} lacks one of {', '.join(score_names())}" if lacking else None


def write_result(workdir: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Write result.json and return its contents."""
    atomic_write(workdir / "result.json", json.dumps(result, indent=2) + "\n")
    return result
