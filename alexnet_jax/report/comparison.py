"""The trials of a sweep against its baseline: differences with their 95 % intervals."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from alexnet_jax.sweeps import statistics
from alexnet_jax.sweeps.table import Row, read_rows

_TEN_CROP_TOP1 = 2  # In the scores of a row.


@dataclass(frozen=True)
class Comparison:
    """A sentence about a sweep, and its ten-crop top-1 errors as fractions.

    Each row has the "name", whether it "is_baseline", the number of finished trials ("runs"),
    their mean "error", its "difference" to the baseline's, and the ends of that difference's 95 %
    interval, "low" and "high": None for the baseline, and with fewer than two runs of either.
    """

    text: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def compare_sweep(root: Path) -> Comparison:
    """Read a sweep's table; UserError if the folder holds no sweep."""
    rows, unfinished = read_rows(root)
    finished = [row for row in rows if row.scores]
    baseline = next((row for row in finished if row.is_baseline), None)
    if baseline is None or len(finished) < 2:
        return Comparison(
            "A comparison needs the finished baseline (the trial without overrides) and one more "
            f"finished trial; {len(finished)} of {len(rows)} have finished. The sweep's command "
            "runs what is missing."
        )
    waiting = f" {len(unfinished)} trials have no result yet." if unfinished else ""
    text = (
        f"Top-1 error with ten crops, each row less {baseline.name}, with 95 % intervals by "
        f"Welch's t-test over seeds.{waiting}"
    )
    return Comparison(text, [_compare(row, baseline) for row in finished])


def _compare(row: Row, baseline: Row) -> dict[str, Any]:
    own, other = ([run[_TEN_CROP_TOP1] for run in each.scores] for each in (row, baseline))
    gap = statistics.difference(own, other)
    low, high = (None, None) if row is baseline else (gap.low, gap.high)
    return {
        "name": row.name,
        "is_baseline": row is baseline,
        "runs": len(own),
        "error": mean(own),
        "difference": gap.value,
        "low": low,
        "high": high,
    }
