"""Trials: a config's overrides with a name that stays theirs."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alexnet_jax.errors import UserError

SEED = "train.seed"
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        overrides: values by config key, {"schedule.learning_rate": 0.02}.
        name: the trial's folder; empty: made from the overrides.
        published: what the literature says of it, for the table.
        group: the name that it shares with its repetitions under other seeds.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    published: str = ""
    group: str = ""


def grid(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the overrides for every combination: {"train.batch_size": [64, 128]} gives two."""
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def name_trial(trial: Trial) -> Trial:
    """Give `trial` the folder name that its overrides spell, unless it has one.

    The name depends on nothing but the trial, so that it stays when others join the sweep.
    """
    overrides = dict(sorted(trial.overrides.items()))
    spelled = ",".join(f"{key}={_spell(value)}" for key, value in overrides.items())
    name = re.sub(r"[^\w.,=+-]+", "-", trial.name or spelled or "baseline").strip(".-")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(json.dumps(overrides, default=str).encode()).hexdigest()[:8]
        name = f"{name[:_LONGEST_NAME]}-{digest}"
    return replace(trial, name=name, group=trial.group or name)


def repeat(trials: Sequence[Trial], first_seed: int, seeds: int) -> list[Trial]:
    """Return every trial under `seeds` seeds, all trials with the first seed before the second.

    The first repetition is the trial itself, so that more seeds can be asked for later.

    Raises:
        UserError: a trial says its seed itself.
    """
    if seeds > 1:
        for trial in trials:
            if SEED in trial.overrides:
                raise UserError(
                    f"trial {trial.name} sets {SEED} itself; leave that or --seeds={seeds} out"
                )
    return [
        trial if number == 0 else _with_seed(trial, first_seed + number)
        for number in range(seeds)
        for trial in trials
    ]


def _with_seed(trial: Trial, seed: int) -> Trial:
    overrides = {**trial.overrides, SEED: seed}
    return replace(trial, overrides=overrides, name=f"{trial.name},{SEED}={seed}")


def _spell(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "+".join(str(item) for item in value) or "none"
    return str(value)
