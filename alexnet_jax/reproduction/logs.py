"""The log of an experiment: one line for its config, one for each finished run.

It holds every number that the page shows, so that the page can be rewritten from logs alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_write


@dataclass(frozen=True)
class LoggedRun:
    """A finished run. Errors are fractions; the last three may be empty."""

    arm: str  # Of the experiment.
    seed: int  # Its train.seed.
    rate: float | None  # The learning rate, where an experiment chooses it.
    result: Mapping[str, Any]  # Of result.json: center, ten_crop, parameters_sha256, seconds.
    train: Sequence[Sequence[float]]  # [epoch, loss, top-1 error] of each window of steps.
    evaluations: Sequence[Sequence[float]]  # The same of each evaluation of the center crop.
    # Validation images that the run got wrong, by kind of view.
    mistakes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    # Scores on the training images as they are, without augmentation and dropout.
    training_set: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)  # Processor, versions, commit.

    @property
    def key(self) -> tuple[str, int, float]:
        """What tells it from the experiment's other runs, and their order."""
        return self.arm, self.seed, self.rate or 0.0


@dataclass(frozen=True)
class Ensemble:
    """Networks whose probabilities were averaged: their seeds, and scores by kind of view."""

    seeds: Sequence[int]
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """All finished runs of an experiment on one data set."""

    experiment: str  # Its name.
    data: str  # Name of the data set.
    config: Mapping[str, Any]  # That the arms override.
    runs: Sequence[LoggedRun]  # By arm, seed and rate.
    ensembles: Sequence[Ensemble] = ()  # Of the baseline; no network is in two of equal size.

    def of_arm(self, arm: str) -> list[LoggedRun]:
        """Return the runs of an arm, by seed."""
        return [run for run in self.runs if run.arm == arm]

    def write(self, path: Path) -> None:
        """Write the log, one JSON object a line."""
        head = {"experiment": self.experiment, "data": self.data, "config": self.config}
        lines = [head, *map(asdict, self.runs), *map(asdict, self.ensembles)]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, "".join(json.dumps(line) + "\n" for line in lines))


def log_path(results: Path, data: str, experiment: str) -> Path:
    """Return the path of an experiment's log in the folder of results."""
    return results / data.replace("/", "_") / f"{experiment}.jsonl"


def read_log(path: Path) -> Log:
    """Read a log; UserError if it is damaged."""
    try:
        head, *lines = map(json.loads, path.read_text().splitlines())
        runs = [LoggedRun(**line) for line in lines if "arm" in line]
        ensembles = [Ensemble(**line) for line in lines if "arm" not in line]
        return Log(head["experiment"], head["data"], head["config"], runs, ensembles)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is no log of launch.reproduce: {error}") from error


def merge(kept: Iterable[LoggedRun], new: Iterable[LoggedRun]) -> list[LoggedRun]:
    """Return both in order; of two runs with the same arm, seed and rate, the new one."""
    by_key = {run.key: run for run in (*kept, *new)}
    return [by_key[key] for key in sorted(by_key)]
