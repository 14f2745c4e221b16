"""The log of a run: metrics.jsonl."""

import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from alexnet_jax.evaluation.metrics import METRICS, score_names
from alexnet_jax.parallel.multihost import broadcast_from_process_0, is_process_0
from alexnet_jax.system.atomic_write import atomic_write

_FILE = "metrics.jsonl"
# The numbers of a line that a resumed run, or its result, cannot do without.
_REQUIRED = {"train": ["images_per_second"], "eval": ["top1_error", "count"]}


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
        path = workdir / _FILE
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
    lines = _parse_file(path)
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


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Return the lines of a workdir's metrics.jsonl that can be read; [] if there is no file."""
    return [line for line in _parse_file(workdir / _FILE) if line is not None]


def _parse_file(path: Path) -> list[dict[str, Any] | None]:
    """Return the lines of a file, None for each that is damaged."""
    if not path.exists():
        return []
    # A run that is killed or still writes may leave half a line at the end.
    *whole, _cut_short = path.read_text(errors="replace").split("\n")
    return [_parse(text) for text in whole]


def _parse(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    required = _REQUIRED.get(str(line.get("kind"))) if isinstance(line, dict) else None
    if required is None or type(line.get("step")) is not int:
        return None
    present = [name for name in (*METRICS, "seconds") if name in line]
    return line if has_numbers(line, [*required, *present]) else None


def has_numbers(values: Any, names: Iterable[str]) -> bool:
    """Return whether parsed JSON is an object with finite numbers of these names."""
    if not isinstance(values, dict):
        return False
    numbers: list[Any] = [values.get(name) for name in names]
    return all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
