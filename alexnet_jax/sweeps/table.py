"""The table of a sweep: the errors of its trials, mean and standard deviation over seeds."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from alexnet_jax.errors import UserError
from alexnet_jax.runs.reading import evaluations, has_numbers, read_json, read_log
from alexnet_jax.sweeps.trial_run import STOPPED_EARLY, read_trials
from alexnet_jax.system.progress import clock

_ERRORS = tuple(
    (views, error) for views in ("center", "ten_crop") for error in ("top1_error", "top5_error")
)
_HEADERS = ("center top-1 %", "top-5 %", "ten crops top-1 %", "top-5 %")  # Of _ERRORS.
_TEN_CROP = slice(2, 4)  # Of _ERRORS.


@dataclass(frozen=True)
class Row:
    """The trials that differ only in the seed; `scores` has the _ERRORS of each finished one."""

    name: str
    is_baseline: bool
    published: str
    scores: tuple[tuple[float, ...], ...]
    seconds: tuple[float, ...] = ()  # Of each finished trial whose result has them.

    def statistics(self) -> list[tuple[float | None, float | None]]:
        """Return the mean and the sample standard deviation (n - 1) of each of _ERRORS.

        None stands for the mean of no trials and for the deviation of fewer than two.
        """
        columns = zip(*self.scores, strict=True) if self.scores else [()] * len(_ERRORS)
        return [
            (mean(column) if column else None, stdev(column) if len(column) > 1 else None)
            for column in columns
        ]

    def ten_crop_error(self) -> float:
        """Return the mean top-1 error on ten crops, infinity without a result."""
        error, _ = self.statistics()[_TEN_CROP][0]
        return math.inf if error is None else error


def read_rows(root: Path) -> tuple[list[Row], list[str]]:
    """Return a row for each group of a sweep, and a line for each trial without a result.

    Raises:
        UserError: `root` holds no sweep.
    """
    trials = sorted(read_trials(root), key=lambda item: item[1]["position"])
    if not trials:
        raise UserError(f"{root} holds no sweep; start one with --config, --sweep and --workdir")
    rows: dict[str, Row] = {}
    unfinished = []
    for workdir, trial in trials:
        result = read_json(workdir / "result.json") or {}
        group = trial["group"]
        scores = rows[group].scores if group in rows else ()
        seconds = rows[group].seconds if group in rows else ()
        if all(has_numbers(result.get(views), [error]) for views, error in _ERRORS):
            scores += (tuple(result[views][error] for views, error in _ERRORS),)
            if has_numbers(result, ["seconds"]):
                seconds += (result["seconds"],)
        else:
            unfinished.append(_describe_unfinished(workdir))
        rows[group] = Row(group, not trial["overrides"], trial["published"], scores, seconds)
    return list(rows.values()), unfinished


def _describe_unfinished(workdir: Path) -> str:
    known = evaluations(read_log(workdir), "center")
    if not known:
        return workdir.name
    step, error = known[-1]["step"], known[-1]["top1_error"]
    why = "stopped early" if (workdir / STOPPED_EARLY).exists() else "not finished"
    return f"{workdir.name}, {why} after step {step} with a center crop top-1 error of {error:.2%}"


def format_markdown(rows: Sequence[Row], unfinished: Sequence[str]) -> str:
    """Return a table whose columns also line up in a terminal; errors in percent.

    The lowest top-1 error on ten crops comes first, and is marked as the best if there are others.
    """
    rows = sorted(rows, key=Row.ten_crop_error)
    best = rows[0] if sum(bool(row.scores) for row in rows) > 1 else None
    columns = [
        _align("trial", "<", [f"{row.name} (best)" if row is best else row.name for row in rows]),
        _align("n", ">", [str(len(row.scores)) for row in rows]),
    ]
    for index, header in enumerate(_HEADERS):
        cells = [_format_error(*row.statistics()[index]) for row in rows]
        columns.append(_align(header, ">", cells))
    times = [clock(mean(row.seconds)) if row.seconds else "" for row in rows]
    columns.append(_align("time", ">", times))
    baseline = next((row for row in rows if row.is_baseline and row.scores), None)
    if baseline is not None and len(rows) > 1:
        cells = ["" if row is baseline else _format_difference(row, baseline) for row in rows]
        columns.append(_align(f"ten crops, less {baseline.name}'s", ">", cells))
    if any(row.published for row in rows):
        cells = [row.published.replace("|", "\\|") for row in rows]
        columns.append(_align("published", "<", cells))
    lines = [f"| {' | '.join(line)} |" for line in zip(*columns, strict=True)]
    if unfinished:
        lines += ["", *(f"no result: {line}" for line in unfinished)]
    return "\n".join(lines)


def _align(header: str, side: str, cells: Sequence[str]) -> list[str]:
    """Return a column of a Markdown table, aligned to the left "<" or to the right ">"."""
    width = max(3, *map(len, [header, *cells]))
    rule = "-" * (width - 1) + ("-" if side == "<" else ":")
    return [f"{header:{side}{width}}", rule, *(f"{cell:{side}{width}}" for cell in cells)]


def _format_error(average: float | None, deviation: float | None) -> str:
    if average is None:
        return ""
    return f"{100 * average:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _format_difference(row: Row, baseline: Row) -> str:
    pairs = zip(row.statistics()[_TEN_CROP], baseline.statistics()[_TEN_CROP], strict=True)
    return " / ".join(
        f"{100 * (own - other):+.2f}"
        for (own, _), (other, _) in pairs
        if own is not None and other is not None
    )


def format_csv(rows: Sequence[Row]) -> str:
    """Return the table as CSV; errors are fractions, and a missing number is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{views}_{error}_{what}" for views, error in _ERRORS for what in ("mean", "sd")]
    writer.writerow(["trial", "n", *names, "published", "seconds_mean"])
    for row in rows:
        numbers = [number for pair in row.statistics() for number in pair]
        seconds = mean(row.seconds) if row.seconds else None
        writer.writerow([row.name, len(row.scores), *numbers, row.published, seconds])
    return text.getvalue().rstrip("\n")
