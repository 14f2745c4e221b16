"""The log of a run: metrics.jsonl."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from alexnet_jax.evaluation.metrics import score_names
from alexnet_jax.parallel.multihost import broadcast_from_process_0, is_process_0
from alexnet_jax.runs.reading import LOG, has_numbers, parse_lines
from alexnet_jax.system.atomic_write import atomic_write


class Observer(Protocol):
    """What shows or keeps the numbers of a run beside metrics.jsonl."""

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Receive the means of a window of training steps that ended with `step` completed."""

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Receive an evaluation after `step` completed steps."""


class RunLog:
    """The log of a workdir; a run that resumes at `step` drops the lines of later steps.

    Lines of metrics.jsonl are objects: {"kind": "train" or "eval", "step": completed steps, ...}.
    In a cluster all processes have the `lines`, and process 0 writes them. `observers` receive what
    is written.
    """

    def __init__(self, workdir: Path, step: int) -> None:
        path = workdir / LOG
        self.lines = broadcast_from_process_0(partial(_begin_file, path, step))
        self._file = (path if is_process_0() else Path(os.devnull)).open("a")
        self.observers: list[Observer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Record a window of training steps that ended with `step` completed."""
        self._write("train", step, values)
        for observer in self.observers:
            observer.train(step, values)

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Record an evaluation after `step` completed steps."""
        self._write("eval", step, {"views": views, **scores})
        for observer in self.observers:
            observer.evaluation(step, views, scores)

    def scores(self, step: int, views: str) -> dict[str, Any] | None:
        """Return the scores of `views` after `step` completed steps, if the log has all of them."""
        for line in self.lines:
            place = line["kind"], line["step"], line.get("views")
            if place == ("eval", step, views) and has_numbers(line, score_names()):
                return {name: line[name] for name in score_names()}
        return None

    def _write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        line = {"kind": kind, "step": step, **values}
        self.lines.append(line)
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()


def _begin_file(path: Path, step: int) -> list[dict[str, Any]]:
    """Remove lines that are damaged or later than `step`, and return the others."""
    lines = parse_lines(path.read_text(errors="replace")) if path.exists() else []
    damaged = lines.count(None)
    if damaged:
        kept = path.with_name(f"{path.name}.damaged")
        shutil.copyfile(path, kept)
        print(
            f"warning: {damaged} line(s) of {path} cannot be read and are removed; {kept} is a "
            "copy of the file as it was",
            file=sys.stderr,
        )
    whole = [line for line in lines if line is not None and line["step"] <= step]
    atomic_write(path, "".join(json.dumps(line) + "\n" for line in whole))
    return whole
