"""The log of an experiment: one line for its config, one for each finished run.

It holds every number that the page shows, so that the page can be written anew from logs alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_write


@dataclass(frozen=True)
class Run:
    """A finished run. Errors are fractions.

    Attributes:
        arm: of the experiment.
        seed: its train.seed.
        rate: the learning rate, where an experiment chooses it; otherwise None.
        result: content of result.json: center, ten_crop, parameters_sha256, seconds.
        train: [epoch, loss, top-1 error] of each window of training steps.
        evaluations: [epoch, loss, top-1 error] of each evaluation of the centre crop.
        mistakes: by kind of view, the validation images that the run got wrong; empty unless asked.
        training_set: scores on the training images as they are, without augmentation and dropout.
        environment: processor, versions and commit.
    """

    arm: str
    seed: int
    rate: float | None
    result: Mapping[str, Any]
    train: Sequence[Sequence[float]]
    evaluations: Sequence[Sequence[float]]
    mistakes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    training_set: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

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
    """All finished runs of an experiment on one data set.

    Attributes:
        experiment: its name.
        data: name of the data set.
        config: the config that the arms override.
        runs: by arm, seed and rate.
        ensembles: of the baseline's networks, no network in two of equal size.
    """

    experiment: str
    data: str
    config: Mapping[str, Any]
    runs: Sequence[Run]
    ensembles: Sequence[Ensemble] = ()

    def of_arm(self, arm: str) -> list[Run]:
        """Return the runs of an arm, by seed."""
        return [run for run in self.runs if run.arm == arm]

    def write(self, path: Path) -> None:
        """Write the log, one JSON object a line."""
        head = {"experiment": self.experiment, "data": self.data, "config": self.config}
        lines = [head, *map(asdict, self.runs), *map(asdict, self.ensembles)]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, "".join(json.dumps(line) + "\n" for line in lines))


def log_path(results: Path, data: str, experiment: str) -> Path:
    """Return where the log of an experiment lies in the folder of results."""
    return results / data.replace("/", "_") / f"{experiment}.jsonl"


def read_log(path: Path) -> Log:
    """Read a log; UserError if it is damaged."""
    try:
        head, *lines = map(json.loads, path.read_text().splitlines())
        runs = [Run(**line) for line in lines if "arm" in line]
        ensembles = [Ensemble(**line) for line in lines if "arm" not in line]
        return Log(head["experiment"], head["data"], head["config"], runs, ensembles)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is no log of launch.reproduce: {error}") from error


def merge(kept: Iterable[Run], new: Iterable[Run]) -> list[Run]:
    """Return both in order; of two runs with the same arm, seed and rate, the new one."""
    by_key = {run.key: run for run in (*kept, *new)}
    return [by_key[key] for key in sorted(by_key)]
