"""Trials and the sweep file that lists them.

A sweep file is Python. Its get_sweep() returns a list of overrides, a list of objects with
`overrides` and optionally `name` and `published`, or a search space: a value or a distribution of
Ray Tune for each config key.
"""

import hashlib
import itertools
import json
import re
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.errors import UserError, describe_failure

SEED = "train.seed"
_GRID = "grid_search"  # tune.grid_search([1, 2]) is {"grid_search": [1, 2]}.
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Trial:
    """One run of a sweep."""

    overrides: Mapping[str, Any] = field(default_factory=dict)  # {"train.batch_size": 64}.
    name: str = ""  # That of its folder.
    published: str = ""  # What the literature reports, for the table.
    group: str = ""  # The name that repetitions under other seeds share.


def grid(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the overrides for every combination: {"train.batch_size": [64, 128]} gives two."""
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def name_trial(trial: Trial) -> Trial:
    """Return the trial with a valid folder name, spelled from its overrides if it has none.

    The name depends only on the trial, so it stays the same when other trials join the sweep.
    """
    overrides = dict(sorted(trial.overrides.items()))
    spelled = ",".join(f"{key}={_spell(value)}" for key, value in overrides.items())
    name = re.sub(r"[^\w.,=+-]+", "-", trial.name or spelled or "baseline").strip(".-")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(json.dumps(overrides, default=str).encode()).hexdigest()[:8]
        name = f"{name[:_LONGEST_NAME]}-{digest}"
    return replace(trial, name=name, group=name)


def _spell(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "+".join(str(item) for item in value) or "none"
    return str(value)


def repeat(trials: Sequence[Trial], first_seed: int, seeds: int) -> list[Trial]:
    """Return every trial under `seeds` seeds: all trials with the first seed, then the second.

    The first repetition is the trial itself, so that a later start can add seeds.

    Raises:
        UserError: a trial sets its own seed.
    """
    repeated = list(trials)
    for seed in range(first_seed + 1, first_seed + seeds):
        for trial in trials:
            if SEED in trial.overrides:
                raise UserError(
                    f"trial {trial.name} sets {SEED} itself; leave that or --seeds={seeds} out"
                )
            overrides = {**trial.overrides, SEED: seed}
            name = f"{trial.name},{SEED}={seed}"
            repeated.append(replace(trial, overrides=overrides, name=name))
    return repeated


def load_sweep(path: Path, samples: int | None) -> list[Trial]:
    """Return the trials of a sweep file, with `samples` draws from a search space.

    Raises:
        UserError: the file cannot be loaded, or does not return a sweep.
    """
    if not path.is_file():
        raise UserError(f"--sweep={path}: there is no such file; see configs/sweeps/")
    try:
        sweep_file = runpy.run_path(str(path))
        if "get_sweep" not in sweep_file:
            raise UserError(f"--sweep={path} has no get_sweep(); see configs/sweeps/ablations.py")
        sweep = sweep_file["get_sweep"]()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"--sweep={path} {describe_failure(error)}") from error
    if isinstance(sweep, Mapping):
        sweep = _enumerate(sweep, samples, path)
    elif samples is not None:
        raise UserError(f"--samples={samples}: {path} lists its trials; it is not a search space")
    if not isinstance(sweep, list | tuple):
        raise UserError(
            f"get_sweep() of --sweep={path} returned {type(sweep).__name__}; it should return a "
            "list of overrides or a search space"
        )
    if not sweep:
        raise UserError(f"--sweep={path} lists no trials")
    return [name_trial(_as_trial(entry, path)) for entry in sweep]


def _as_trial(entry: Any, path: Path) -> Trial:
    overrides = entry if isinstance(entry, Mapping) else getattr(entry, "overrides", None)
    if not isinstance(overrides, Mapping) or not all(isinstance(key, str) for key in overrides):
        raise UserError(f"--sweep={path}: {entry!r} is not a dict such as {{'{SEED}': 1}}")
    name, published = getattr(entry, "name", ""), getattr(entry, "published", "")
    return Trial(dict(overrides), str(name), str(published))


def _enumerate(space: Mapping[str, Any], samples: int | None, path: Path) -> list[dict[str, Any]]:
    """Return every combination of a search space's grids, for each draw of its distributions."""
    grids = {key: value[_GRID] for key, value in space.items() if isinstance(value, Mapping)}
    drawn = {key: value for key, value in space.items() if hasattr(value, "sample")}
    fixed = {key: [value] for key, value in space.items() if key not in grids | drawn}
    if drawn and samples is None:
        raise UserError(
            f"--sweep={path} draws {', '.join(drawn)}; give the number of draws with --samples=N"
        )
    if samples is not None and not drawn:
        raise UserError(f"--samples={samples}: {path} has nothing to draw; its grid is finite")
    generator = np.random.RandomState(0)  # The first draws stay the same when --samples grows.
    draws = [
        {key: domain.sample(random_state=generator) for key, domain in drawn.items()}
        for _ in range(samples or 1)
    ]
    return [{**combination, **draw} for draw in draws for combination in grid({**fixed, **grids})]
