"""The table of a sweep: the errors of its trials, mean and standard deviation over seeds."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.trial_run import evaluations, read_json
from alexnet_jax.training.logging import has_numbers

_ERRORS = tuple(
    (views, error) for views in ("center", "ten_crop") for error in ("top1_error", "top5_error")
)
_TEN_CROP = slice(2, 4)  # Of _ERRORS.


@dataclass(frozen=True)
class Row:
    """The trials that differ only in the seed.

    Attributes:
        name: that of the group.
        is_baseline: whether they override nothing.
        published: what the literature reports.
        scores: for each finished trial, its _ERRORS as fractions.
    """

    name: str
    is_baseline: bool
    published: str
    scores: tuple[tuple[float, ...], ...]

    def statistics(self) -> list[tuple[float | None, float | None]]:
        """Return the mean and the sample standard deviation (n - 1) of each of _ERRORS.

        None stands for the mean of no trials and for the deviation of fewer than two.
        """
        columns = zip(*self.scores, strict=True) if self.scores else [()] * len(_ERRORS)
        return [
            (mean(column) if column else None, stdev(column) if len(column) > 1 else None)
            for column in columns
        ]


def read_rows(root: Path) -> tuple[list[Row], list[str]]:
    """Read the folders of a sweep's trials.

    Returns:
        A row for each group, in the order of the sweep file; a line for each unfinished trial.

    Raises:
        UserError: `root` holds no sweep.
    """
    read = [(path.parent, read_json(path)) for path in root.glob("*/trial.json")]
    trials = [(workdir, trial) for workdir, trial in read if trial is not None]
    if not trials:
        raise UserError(f"{root} holds no sweep; start one with --config, --sweep and --workdir")
    trials.sort(key=lambda item: item[1]["position"])
    rows: dict[str, Row] = {}
    unfinished = []
    for workdir, trial in trials:
        result = read_json(workdir / "result.json") or {}
        group = trial["group"]
        scores = rows[group].scores if group in rows else ()
        if all(has_numbers(result.get(views), [error]) for views, error in _ERRORS):
            scores += (tuple(result[views][error] for views, error in _ERRORS),)
        else:
            unfinished.append(_describe_unfinished(workdir))
        rows[group] = Row(group, not trial["overrides"], trial["published"], scores)
    return list(rows.values()), unfinished


def format_markdown(rows: Sequence[Row], unfinished: Sequence[str]) -> str:
    """Return a table whose columns also line up in a terminal; errors in per cent."""
    header = ["trial", "n", "centre top-1 %", "top-5 %", "ten crops top-1 %", "top-5 %"]
    cells = [
        [row.name, str(len(row.scores)), *(_format_error(*pair) for pair in row.statistics())]
        for row in rows
    ]
    baseline = next((row for row in rows if row.is_baseline and row.scores), None)
    if baseline is not None and len(rows) > 1:
        header.append(f"ten crops, less {baseline.name}'s")
        for line, row in zip(cells, rows, strict=True):
            line.append("" if row is baseline else _format_difference(row, baseline))
    if any(row.published for row in rows):
        header.append("published")
        for line, row in zip(cells, rows, strict=True):
            line.append(row.published.replace("|", "\\|"))
    lines = list(_align(header, cells))
    if unfinished:
        lines += ["", *(f"no result: {line}" for line in unfinished)]
    return "\n".join(lines)


def format_csv(rows: Sequence[Row]) -> str:
    """Return the table as CSV; errors are fractions, and a missing number is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{views}_{error}_{what}" for views, error in _ERRORS for what in ("mean", "sd")]
    writer.writerow(["trial", "n", *names, "published"])
    for row in rows:
        numbers = [number for pair in row.statistics() for number in pair]
        writer.writerow([row.name, len(row.scores), *numbers, row.published])
    return text.getvalue().rstrip("\n")


def _describe_unfinished(workdir: Path) -> str:
    *_, last = [None, *evaluations(workdir)]
    if last is None:
        return workdir.name
    step, error = last
    why = "stopped early" if (workdir / "stopped_early.json").exists() else "not finished"
    return f"{workdir.name}, {why} after step {step} with a centre crop top-1 error of {error:.2%}"


def _format_error(average: float | None, deviation: float | None) -> str:
    if average is None:
        return ""
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * average:.2f}{spread}"


def _format_difference(row: Row, baseline: Row) -> str:
    pairs = zip(row.statistics()[_TEN_CROP], baseline.statistics()[_TEN_CROP], strict=True)
    return " / ".join(
        f"{100 * (own - other):+.2f}"
        for (own, _), (other, _) in pairs
        if own is not None and other is not None
    )


def _align(header: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: text to the left, numbers to the right."""
    widths = [max(3, *map(len, column)) for column in zip(header, *cells, strict=True)]
    sides = ["<" if name in ("trial", "published") else ">" for name in header]
    rule = [
        "-" * (width - 1) + ("-" if side == "<" else ":")
        for width, side in zip(widths, sides, strict=True)
    ]
    for line in (header, rule, *cells):
        padded = [
            f"{text:{side}{width}}" for text, side, width in zip(line, sides, widths, strict=True)
        ]
        yield f"| {' | '.join(padded)} |"
