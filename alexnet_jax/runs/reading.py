"""Reads what runs wrote, without what is damaged. Imports no JAX: Ray's workers import it."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOG = "metrics.jsonl"
DIVERGED = "diverged.json"  # In the workdir of a run whose last start diverged.
# The numbers of a line that a resumed run, or its result, cannot do without.
_REQUIRED = {"train": ["images_per_second"], "eval": ["top1_error", "count"]}


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Return the lines of a workdir's metrics.jsonl that can be read; [] if there is no file."""
    path = workdir / LOG
    text = path.read_text(errors="replace") if path.exists() else ""
    return [line for line in parse_lines(text) if line is not None]


def evaluations(lines: Iterable[Mapping[str, Any]], views: str) -> list[Mapping[str, Any]]:
    """Return those of a log's lines that are evaluations of "center" or "ten_crop"."""
    return [line for line in lines if (line["kind"], line.get("views")) == ("eval", views)]


def parse_lines(text: str) -> list[dict[str, Any] | None]:
    """Return the lines of a log, None for each that is damaged."""
    # A run that is killed or still writes may leave half a line at the end.
    *whole, _cut_short = text.split("\n")
    return [_parse(line) for line in whole]


def _parse(text: str) -> dict[str, Any] | None:
    line = _load(text) or {}
    required = _REQUIRED.get(str(line.get("kind")))
    if required is None or type(line.get("step")) is not int:
        return None
    return line if has_numbers(line, {*required, *line} - {"kind", "views"}) else None


def saved_steps(workdir: Path) -> list[int]:
    """Return the steps of a workdir's checkpoints."""
    names = [path.name for path in (workdir / "checkpoints").glob("[0-9]*")]
    return [int(name) for name in names if name.isdecimal()]  # Others are not yet complete.


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None if the file is missing or damaged."""
    try:
        return _load(path.read_text())
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None


def _load(text: str) -> dict[str, Any] | None:
    """Return the object in a JSON text, or None if it holds something else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def has_numbers(values: Any, names: Iterable[str]) -> bool:
    """Return whether parsed JSON is an object with finite numbers of these names."""
    if not isinstance(values, dict):
        return False
    numbers: list[Any] = [values.get(name) for name in names]
    return all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
