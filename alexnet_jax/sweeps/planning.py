"""Checks every trial of a sweep before the first one starts, and prepares its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.config.schema import check_key, flatten
from alexnet_jax.errors import UserError
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.saved_config import differences, load_config, save_config
from alexnet_jax.sweeps.trial_run import TrialRun
from alexnet_jax.sweeps.trials import SEED, Trial, repeat
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.training.from_config import (
    check_names,
    make_model,
    resolve_config,
    resolve_durations,
)


def plan(
    config: ConfigDict,
    file: str,
    overrides: Mapping[str, Any],
    trials: Sequence[Trial],
    seeds: int,
    root: Path,
) -> list[TrialRun]:
    """Check the trials, and write `config.json` of the sweep and `trial.json` of every trial.

    The trials override `config`, which is `file` with the command line's `overrides`.

    Raises:
        UserError: a trial cannot run, or `root` holds another run.
    """
    if (root / "metrics.jsonl").exists():
        raise UserError(f"--workdir={root} is the folder of a single run; give the sweep its own")
    _check_same(root, resolve_config(config), "a sweep")
    trials = repeat(trials, config.train.seed, seeds)
    runs: dict[str, TrialRun] = {}
    names: dict[str, str] = {}  # By the resolved config.
    for trial in trials:
        if trial.name in runs:
            raise UserError(f"two trials are called {trial.name}; rename one of them")
        try:
            resolved = _resolve(config, trial)
            steps = resolve_durations(resolved, len(open_split(resolved, "train"))).total
        except UserError as error:
            raise UserError(f"trial {trial.name}: {error}") from error
        first = names.setdefault(json.dumps(resolved.to_dict(), sort_keys=True), trial.name)
        if first != trial.name:
            raise UserError(f"trials {first} and {trial.name} are the same run; leave one out")
        workdir = root / trial.name
        _check_same(workdir, resolved, "that trial")
        given = {**overrides, **trial.overrides}
        arguments = (
            f"--config={file}",
            *(f"--config.{key}={value}" for key, value in given.items() if value is not None),
            f"--workdir={workdir}",
        )
        runs[trial.name] = TrialRun(trial.name, workdir, arguments, steps)
    root.mkdir(parents=True, exist_ok=True)
    save_config(config, root)
    for position, trial in enumerate(trials):
        description = {
            "position": position,
            "group": trial.group,
            "overrides": {key: value for key, value in trial.overrides.items() if key != SEED},
            "seed": trial.overrides.get(SEED, config.train.seed),
            "published": trial.published,
        }
        (root / trial.name).mkdir(exist_ok=True)
        atomic_write(root / trial.name / "trial.json", json.dumps(description, indent=2) + "\n")
    return list(runs.values())


def _resolve(base: ConfigDict, trial: Trial) -> ConfigDict:
    config = base.copy_and_resolve_references()
    for key, value in trial.overrides.items():
        check_key(key)
        if value is None and flatten(base.to_dict())[key] is not None:
            raise UserError(f"config.{key} cannot be unset by a trial; write a config for that")
        try:
            config.update_from_flattened_dict({key: value})
        except TypeError as error:
            raise UserError(str(error)) from error
    config = resolve_config(config)
    check_names(config)
    make_model(config)
    return config


def _check_same(workdir: Path, config: ConfigDict, what: str) -> None:
    if not (workdir / "config.json").exists():
        return
    changed = differences(resolve_config(load_config(workdir)), config)
    if changed:
        raise UserError(
            f"{workdir} holds {what} of another config ({'; '.join(changed)}); give another "
            "--workdir, or another name"
        )
