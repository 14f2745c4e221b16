"""What a workdir says about its run, in plain values; nothing is computed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.config import default_config
from alexnet_jax.config.schema import flatten
from alexnet_jax.evaluation.metrics import score_names
from alexnet_jax.evaluation.views import VIEWS
from alexnet_jax.runs.logging import has_numbers, read_log
from alexnet_jax.runs.saved_config import load_config
from alexnet_jax.sweeps.trial_run import read_json

# Where a run's files are, not what it computes.
_NOT_SHOWN = ("data.dir",)


@dataclass(frozen=True)
class RunRecord:
    """The files of a workdir.

    Attributes:
        workdir: its path, as given.
        config: every key, "group.name", with its value.
        lines: of metrics.jsonl that can be read.
        result: result.json; None before the run has finished.
        environment: environment.json; empty for imported weights of early versions.
    """

    workdir: Path
    config: Mapping[str, Any]
    lines: list[dict[str, Any]]
    result: dict[str, Any] | None
    environment: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, for legends."""
        return self.workdir.resolve().name

    @property
    def training(self) -> list[dict[str, Any]]:
        """The lines about training steps."""
        return [line for line in self.lines if line["kind"] == "train"]

    def evaluations(self, views: str) -> list[dict[str, Any]]:
        """Return the evaluations of "center" or "ten_crop" that are complete, by step."""
        lines = [line for line in self.lines if line.get("views") == views]
        return [line for line in lines if has_numbers(line, score_names())]

    def scores(self, views: str) -> dict[str, Any] | None:
        """Return the final scores of `views`, or those of the last evaluation; None for none."""
        if self.result is not None:
            return dict(self.result[views])
        evaluations = self.evaluations(views)
        return evaluations[-1] if evaluations else None

    def changed(self) -> list[tuple[str, Any, Any]]:
        """Return (key, default, value) for each config value that differs from the default."""
        defaults = flatten(json.loads(json.dumps(default_config().to_dict())))
        return [
            (key, defaults.get(key), value)
            for key, value in sorted(self.config.items())
            if value != defaults.get(key) and key not in _NOT_SHOWN
        ]

    @property
    def command(self) -> list[str]:
        """The command that started the run; empty if unknown."""
        return [str(word) for word in self.environment.get("command") or []]

    @property
    def steps_per_epoch(self) -> float | None:
        """Steps of an epoch, from the log; None without a line about training."""
        known = [line for line in self.training if line.get("epoch")]
        return known[-1]["step"] / known[-1]["epoch"] if known else None


def read_run(workdir: Path) -> RunRecord:
    """Read a workdir; UserError if it is none, or if its config is damaged."""
    config = load_config(workdir)
    result = read_json(workdir / "result.json")
    whole = (
        result is not None
        and has_numbers(result, ["step"])
        and all(has_numbers(result.get(views), score_names()) for views in VIEWS)
    )
    return RunRecord(
        workdir=workdir,
        config=flatten(json.loads(json.dumps(config.to_dict()))),
        lines=read_log(workdir),
        result=result if whole else None,
        environment=read_json(workdir / "environment.json") or {},
    )
