"""The record of a run in its workdir, as plain values; nothing is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.config import default_config
from alexnet_jax.evaluation.metrics import score_names
from alexnet_jax.runs.reading import evaluations, has_numbers, read_json, read_log
from alexnet_jax.runs.saved_config import as_saved, load_config
from alexnet_jax.runs.workdir import find_damage


@dataclass(frozen=True)
class SavedRun:
    """The files of a workdir."""

    workdir: Path  # As given.
    config: Mapping[str, Any]  # Every key, "group.name", with its value.
    lines: list[dict[str, Any]]  # Of metrics.jsonl that can be read.
    result: dict[str, Any] | None  # result.json; None before the run has finished.
    environment: Mapping[str, Any]  # environment.json; empty for weights of early versions.

    @property
    def name(self) -> str:
        """The folder's name, for legends."""
        return self.workdir.resolve().name

    @property
    def training(self) -> list[dict[str, Any]]:
        """The lines about training steps."""
        return [line for line in self.lines if line["kind"] == "train"]

    def evaluations(self, views: str) -> list[Mapping[str, Any]]:
        """Return the evaluations of "center" or "ten_crop" that are complete, by step."""
        lines = evaluations(self.lines, views)
        return [line for line in lines if has_numbers(line, score_names())]

    def scores(self, views: str) -> Mapping[str, Any] | None:
        """Return the final scores of `views`, or those of the last evaluation; None for none."""
        if self.result is not None:
            return dict(self.result[views])
        evaluations = self.evaluations(views)
        return evaluations[-1] if evaluations else None

    def changed(self) -> list[tuple[str, Any, Any]]:
        """Return (key, default, value) for each config value that differs from the default."""
        defaults = as_saved(default_config())
        return [
            (key, defaults.get(key), value)
            for key, value in sorted(self.config.items())
            if value != defaults.get(key) and key != "data.dir"  # A place, not what it computes.
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


def read_run(workdir: Path) -> SavedRun:
    """Read a workdir; UserError if it is none, or if its config is damaged."""
    config = load_config(workdir)
    result = read_json(workdir / "result.json") or {}
    return SavedRun(
        workdir=workdir,
        config=as_saved(config),
        lines=read_log(workdir),
        result=None if find_damage(result) else result,
        environment=read_json(workdir / "environment.json") or {},
    )
