"""From trials to what will be run: every trial's config, checked before any of them starts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.atomic_write import atomic_write
from alexnet_jax.config.saved import differences, load_config, save_config
from alexnet_jax.config.schema import check_key, flatten
from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.planned_trial import PlannedTrial
from alexnet_jax.sweeps.trials import SEED, Trial, repeat
from alexnet_jax.training.experiment import open_split
from alexnet_jax.training.recipe import (
    check_names,
    make_model,
    resolve_config,
    resolve_durations,
)


@dataclass(frozen=True)
class Base:
    """The config that trials override.

    Attributes:
        config: with the command line's overrides.
        file: as given with --config.
        overrides: those of the command line, by key.
    """

    config: ConfigDict
    file: str
    overrides: Mapping[str, Any]


def plan(base: Base, trials: Sequence[Trial], seeds: int, root: Path) -> list[PlannedTrial]:
    """Check everything that can be checked before the first trial starts, and write it down.

    Every trial's folder receives `trial.json`, for the table; the sweep's `config.json` is the
    config that the trials override.

    Raises:
        UserError: a trial's overrides, or what `root` holds, cannot be.
    """
    resolved = resolve_config(base.config)
    trials = repeat(trials, base.config.train.seed, seeds)
    configs = {trial.name: _resolve(base.config, trial) for trial in trials}
    _check_names(trials)
    _check_distinct(configs)
    _check_root(root, resolved)
    steps = {name: _check_parts(name, config) for name, config in configs.items()}
    for name, config in configs.items():
        _check_same(root / name, config, "that trial")
    root.mkdir(parents=True, exist_ok=True)
    save_config(base.config, root)
    for position, trial in enumerate(trials):
        _write_trial(root / trial.name, trial, position, base.config.train.seed)
    return [
        PlannedTrial(
            trial.name,
            root / trial.name,
            _arguments(base, trial, root / trial.name),
            steps[trial.name],
        )
        for trial in trials
    ]


def _resolve(base: ConfigDict, trial: Trial) -> ConfigDict:
    config = base.copy_and_resolve_references()
    try:
        for key, value in trial.overrides.items():
            check_key(key)
            if value is None and flatten(base.to_dict())[key] is not None:
                raise UserError(f"config.{key} cannot be unset by a trial; write a config for that")
            config.update_from_flattened_dict({key: value})
        config = resolve_config(config)
        check_names(config)
        make_model(config)
    except (UserError, TypeError) as error:
        raise UserError(f"trial {trial.name}: {error}") from error
    return config


def _check_names(trials: Sequence[Trial]) -> None:
    names = [trial.name for trial in trials]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two trials are called {name}; give each entry a name of its own")


def _check_distinct(configs: Mapping[str, ConfigDict]) -> None:
    seen: dict[str, str] = {}
    for name, config in configs.items():
        text = json.dumps(config.to_dict(), sort_keys=True)
        if text in seen:
            raise UserError(f"trials {seen[text]} and {name} are the same run; leave one out")
        seen[text] = name


def _check_root(root: Path, config: ConfigDict) -> None:
    if (root / "metrics.jsonl").exists():
        raise UserError(f"--workdir={root} is the folder of a single run; give the sweep its own")
    _check_same(root, config, "a sweep")


def _check_same(workdir: Path, config: ConfigDict, what: str) -> None:
    if not (workdir / "config.json").exists():
        return
    changed = differences(resolve_config(load_config(workdir)), config)
    if changed:
        raise UserError(
            f"{workdir} holds {what} of another config ({'; '.join(changed)}); give another "
            "--workdir, or another name"
        )


def _check_parts(name: str, config: ConfigDict) -> int:
    """Return how many steps the trial takes; UserError where its data are not there."""
    try:
        examples = len(open_split(config, "train"))
    except UserError as error:
        raise UserError(f"trial {name}: {error}") from error
    return resolve_durations(config, examples).total


def _write_trial(workdir: Path, trial: Trial, position: int, first_seed: int) -> None:
    workdir.mkdir(exist_ok=True)
    description = {
        "position": position,
        "group": trial.group,
        "overrides": {key: value for key, value in trial.overrides.items() if key != SEED},
        "seed": trial.overrides.get(SEED, first_seed),
        "published": trial.published,
    }
    atomic_write(workdir / "trial.json", json.dumps(description, indent=2) + "\n")


def _arguments(base: Base, trial: Trial, workdir: Path) -> tuple[str, ...]:
    overrides = {**base.overrides, **trial.overrides}
    return (
        f"--config={base.file}",
        *(f"--config.{key}={value}" for key, value in overrides.items() if value is not None),
        f"--workdir={workdir}",
    )
