"""A trial that can be started, and what its folder says of it; free of JAX, for Ray's workers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.atomic_write import atomic_write

_STOPPED_EARLY = "stopped_early.json"


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that can be started.

    Attributes:
        name: of the trial.
        workdir: its own.
        arguments: of alexnet_jax.main.
        steps: that it takes in all.
    """

    name: str
    workdir: Path
    arguments: tuple[str, ...]
    steps: int

    def result(self) -> dict[str, Any] | None:
        """Return its result.json, None where it has not finished."""
        return read_json(self.workdir / "result.json")

    def steps_saved(self) -> int:
        """Return after how many steps its latest checkpoint was saved; all where it has ended."""
        if self.result() is not None:
            return self.steps
        saved = (self.workdir / "checkpoints").glob("[0-9]*")
        return max((int(path.name) for path in saved if path.name.isdecimal()), default=0)

    def stopped_early(self) -> bool:
        """Return whether the scheduler gave it up; without `stopped_early.json` it may go on."""
        return (self.workdir / _STOPPED_EARLY).exists()

    def note_stopped_early(self, step: int, top1_error: float) -> None:
        """Remember that the scheduler gave it up after `step` steps."""
        text = json.dumps({"step": step, "center": {"top1_error": top1_error}})
        atomic_write(self.workdir / _STOPPED_EARLY, text + "\n")


@dataclass(frozen=True)
class Evaluation:
    """A test of a trial on the centre crops, after `step` completed steps."""

    step: int
    top1_error: float


def evaluations(workdir: Path) -> Iterator[Evaluation]:
    """Yield the tests that a trial's log has, oldest first."""
    try:
        lines = (workdir / "metrics.jsonl").read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return
    for text in lines[:-1]:  # The last one is empty, or still being written.
        try:
            line = json.loads(text)
        except ValueError:
            continue  # The run itself reports damaged lines.
        if isinstance(line, dict) and (line.get("kind"), line.get("views")) == ("eval", "center"):
            yield Evaluation(line["step"], line["top1_error"])


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object of a file; None where there is none, or a damaged one."""
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return values if isinstance(values, dict) else None
