"""The trials of a sweep against its baseline: differences with their 95 % intervals."""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from alexnet_jax.sweeps import statistics
from alexnet_jax.sweeps.table import Row, read_rows

_TEN_CROP_TOP1 = 2  # In the scores of a row.


@dataclass(frozen=True)
class Difference:
    """The ten-crop top-1 error of a sweep's row, and its difference to the baseline's.

    Attributes:
        name: of the row.
        runs: number of finished trials.
        error: mean over the runs, as a fraction.
        difference: to the baseline's mean; 0 for the baseline.
        low: end of the 95 % interval; None with fewer than two runs of either.
        high: the other end.
    """

    name: str
    runs: int
    error: float
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """A sweep's differences, and a sentence about them."""

    text: str
    rows: list[Difference]


def compare_sweep(root: Path) -> Comparison:
    """Read a sweep's table; UserError if the folder holds no sweep."""
    rows, unfinished = read_rows(root)
    finished = [row for row in rows if row.scores]
    baseline = next((row for row in finished if row.is_baseline), None)
    waiting = f" {len(unfinished)} trials have no result yet." if unfinished else ""
    if baseline is None or len(finished) < 2:
        text = (
            "A comparison needs the finished baseline (the trial without overrides) and one more "
            f"finished trial; {len(finished)} of {len(rows)} have finished. The sweep's command "
            "runs what is missing."
        )
        return Comparison(text, [])
    text = (
        f"Top-1 error with ten crops, each row less {baseline.name}, with 95 % intervals by "
        f"Welch's t-test over seeds.{waiting}"
    )
    return Comparison(text, [difference(row, baseline) for row in finished])


def difference(row: Row, baseline: Row) -> Difference:
    """Compare a row with the baseline."""
    own, other = ([run[_TEN_CROP_TOP1] for run in each.scores] for each in (row, baseline))
    gap = statistics.difference(own, other)
    low, high = (None, None) if row is baseline else (gap.low, gap.high)
    return Difference(row.name, len(own), mean(own), gap.value, low, high)
