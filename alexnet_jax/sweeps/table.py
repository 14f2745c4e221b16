"""The table of a sweep: its trials' errors, mean and standard deviation over seeds."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.planned_trial import evaluations, read_json
from alexnet_jax.training.logging import has_numbers

_ERRORS = tuple(
    (views, error) for views in ("center", "ten_crop") for error in ("top1_error", "top5_error")
)
_Scores = tuple[float, ...]  # One for each of _ERRORS.


@dataclass(frozen=True)
class Row:
    """The trials that differ in nothing but the seed.

    Attributes:
        name: of the group.
        is_baseline: whether they override nothing.
        published: what the literature says of it.
        scores: of each trial that has finished; fractions.
    """

    name: str
    is_baseline: bool
    published: str
    scores: tuple[_Scores, ...]

    def mean(self, column: int) -> float:
        """Return the mean over seeds."""
        return mean(scores[column] for scores in self.scores)

    def deviation(self, column: int) -> float | None:
        """Return the sample standard deviation (n - 1) over seeds; None for a single one."""
        return stdev(scores[column] for scores in self.scores) if len(self.scores) > 1 else None


def read_rows(root: Path) -> tuple[list[Row], list[str]]:
    """Read the folders of a sweep's trials.

    Returns:
        A row a group, in the order of the sweep file; a line for each trial without a result.

    Raises:
        UserError: `root` holds no sweep.
    """
    trials = [(path.parent, read_json(path)) for path in root.glob("*/trial.json")]
    known = [(workdir, trial) for workdir, trial in trials if trial is not None]
    if not known:
        raise UserError(f"{root} holds no sweep; start one with --config, --sweep and --workdir")
    known.sort(key=lambda item: item[1]["position"])
    rows: dict[str, Row] = {}
    unfinished = []
    for workdir, trial in known:
        scores = _read_scores(workdir)
        if not scores:
            unfinished.append(_describe_unfinished(workdir))
        group = trial["group"]
        before = rows[group].scores if group in rows else ()
        rows[group] = Row(group, not trial["overrides"], trial["published"], before + scores)
    return list(rows.values()), unfinished


def format_markdown(rows: Sequence[Row], unfinished: Sequence[str]) -> str:
    """Return a table whose columns also line up in a terminal; errors in per cent."""
    baseline = _find_baseline(rows)
    header = ["trial", "n", "centre top-1 %", "top-5 %", "ten crops top-1 %", "top-5 %"]
    cells = [
        [row.name, str(len(row.scores)), *(_format_error(row, c) for c in range(len(_ERRORS)))]
        for row in rows
    ]
    if baseline is not None and len(rows) > 1:
        header.append(f"ten crops, less {baseline.name}'s")
        for line, row in zip(cells, rows, strict=True):
            line.append("" if row is baseline else _format_difference(row, baseline))
    if any(row.published for row in rows):
        header.append("published")
        for line, row in zip(cells, rows, strict=True):
            line.append(row.published.replace("|", "\\|"))
    notes = "".join(f"\nno result: {line}" for line in unfinished)
    return "\n".join(_align(header, cells)) + ("\n" + notes if notes else "")


def format_csv(rows: Sequence[Row]) -> str:
    """Return the same as CSV; errors are fractions, an empty field is a number there is none of."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{views}_{error}" for views, error in _ERRORS]
    writer.writerow(
        [
            "trial",
            "n",
            *(f"{name}_{what}" for name in names for what in ("mean", "sd")),
            "published",
        ]
    )
    for row in rows:
        numbers: list[float | None] = []
        for column in range(len(_ERRORS)):
            numbers += [row.mean(column), row.deviation(column)] if row.scores else [None, None]
        writer.writerow([row.name, len(row.scores), *numbers, row.published])
    return text.getvalue().rstrip("\n")


def _read_scores(workdir: Path) -> tuple[_Scores, ...]:
    """Return a trial's errors; nothing where there is no result, or a damaged one."""
    result = read_json(workdir / "result.json") or {}
    if not all(has_numbers(result.get(views), [error]) for views, error in _ERRORS):
        return ()
    return (tuple(result[views][error] for views, error in _ERRORS),)


def _describe_unfinished(workdir: Path) -> str:
    last = [None, *evaluations(workdir)][-1]
    if last is None:
        return workdir.name
    why = "stopped early" if (workdir / "stopped_early.json").exists() else "not finished"
    return (
        f"{workdir.name}, {why} after step {last.step} with a centre crop top-1 error of "
        f"{last.top1_error:.2%}"
    )


def _find_baseline(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row.is_baseline and row.scores), None)


def _format_error(row: Row, column: int) -> str:
    if not row.scores:
        return ""
    deviation = row.deviation(column)
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * row.mean(column):.2f}{spread}"


def _format_difference(row: Row, baseline: Row) -> str:
    if not row.scores:
        return ""
    columns = [c for c, (views, _) in enumerate(_ERRORS) if views == "ten_crop"]
    return " / ".join(f"{100 * (row.mean(c) - baseline.mean(c)):+.2f}" for c in columns)


def _align(header: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; text to the left, numbers to the right."""
    widths = [max(3, *map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [name not in ("trial", "published") for name in header]
    rule = [
        "-" * (width - to_right) + ":" * to_right
        for width, to_right in zip(widths, right, strict=True)
    ]
    for line in (header, rule, *cells):
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ]
        yield f"| {' | '.join(padded)} |"
