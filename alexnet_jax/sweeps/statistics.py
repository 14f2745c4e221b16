"""Means over seeds with their intervals, tests of differences, and how many seeds these need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, variance

import numpy as np
import scipy

from alexnet_jax.runs.intervals import wilson_interval

ALPHA = 0.01  # A sign is claimed below this p-value.
_POWER = 0.9
_DRAWS = 4000  # Of both arms, for the power of a test.
_CONFIDENCE = 0.975  # Two-sided 95 %.


@dataclass(frozen=True)
class Estimate:
    """A number that runs gave, with its 95 % interval; None where there are too few runs."""

    value: float  # A mean, or a difference of means.
    runs: int  # Number of runs of the arm.
    deviation: float | None  # Standard deviation (n - 1) over the arm's runs.
    low: float | None = None
    high: float | None = None
    p: float | None = None  # Two-sided p-value of the value being zero.

    def sign(self) -> int:
        """Return 1 or -1 where the sign is certain at p < ALPHA, otherwise 0."""
        if self.p is None or self.p >= ALPHA:
            return 0
        return 1 if self.value > 0 else -1


def difference(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Return the difference of two means over independent runs (Welch, Biometrika 34, 1947)."""
    gap = mean(one) - mean(other)
    deviation = math.sqrt(variance(one)) if len(one) > 1 else None
    if min(len(one), len(other)) < 2:
        return Estimate(gap, len(one), deviation)
    # Written out, because scipy.stats.ttest_ind warns where one arm's runs are equal.
    parts = [variance(numbers) / len(numbers) for numbers in (one, other)]
    squares = [
        part**2 / (len(numbers) - 1) for part, numbers in zip(parts, (one, other), strict=True)
    ]
    freedom = sum(parts) ** 2 / sum(squares) if sum(parts) else math.inf
    return _estimate(gap, len(one), deviation, math.sqrt(sum(parts)), freedom)


def average(numbers: Sequence[float]) -> Estimate:
    """Return the mean of one number a run, with Student's interval and test."""
    if len(numbers) < 2:
        return Estimate(mean(numbers), len(numbers), None)
    deviation, count = math.sqrt(variance(numbers)), len(numbers)
    return _estimate(mean(numbers), count, deviation, deviation / math.sqrt(count), count - 1)


def _estimate(
    value: float, runs: int, deviation: float | None, error: float, freedom: float
) -> Estimate:
    if error == 0:  # Equal runs: the value is what it is.
        return Estimate(value, runs, deviation, value, value, 1.0 if value == 0 else 0.0)
    half = float(scipy.stats.t.ppf(_CONFIDENCE, freedom)) * error
    p = 2 * float(scipy.stats.t.sf(abs(value) / error, freedom))
    return Estimate(value, runs, deviation, value - half, value + half, p)


def share_difference(one: Sequence[bool], other: Sequence[bool]) -> Estimate:
    """Return the difference of two shares of runs, in percentage points.

    The interval is Newcombe's from two of Wilson (Statistics in Medicine 17, 1998, method 10); the
    p-value is that of Fisher's exact test.
    """
    shares = [mean(map(float, runs)) for runs in (one, other)]
    (low, high), (other_low, other_high) = (
        wilson_interval(share, len(runs)) for share, runs in zip(shares, (one, other), strict=True)
    )
    gap = shares[0] - shares[1]
    table = [[sum(runs), len(runs) - sum(runs)] for runs in (one, other)]
    return Estimate(
        100 * gap,
        len(one),
        None,
        100 * (gap - math.hypot(shares[0] - low, other_high - shares[1])),
        100 * (gap + math.hypot(high - shares[0], shares[1] - other_low)),
        float(scipy.stats.fisher_exact(table).pvalue),
    )


def seeds_needed(gap: float, deviation: float, times: int = 1) -> int:
    """Return the runs of an arm that tell `gap` from zero at ALPHA, nine times in ten.

    By Welch's test of two arms of that standard deviation, of which the other has `times` as many
    runs.
    """
    quantile = float(scipy.stats.norm.ppf(1 - ALPHA / 2)) + float(scipy.stats.norm.ppf(_POWER))
    # Many runs are enough where they would be for a known deviation; with few it takes more.
    runs = max(2, math.floor((1 + 1 / times) * (quantile * deviation / gap) ** 2))
    while _power(gap / deviation, runs, times * runs) < _POWER:
        runs += 1
    return runs


def _power(gap: float, runs: int, others: int) -> float:
    """Return how often Welch's test finds a gap, in standard deviations of a run, at ALPHA."""
    generator = np.random.default_rng(0)
    arms = (
        generator.normal(center, 1.0, (_DRAWS, count))
        for center, count in ((gap, runs), (0.0, others))
    )
    return float((scipy.stats.ttest_ind(*arms, axis=1, equal_var=False).pvalue < ALPHA).mean())


def deviation_interval(deviation: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation over `count` normal numbers."""
    squares = (count - 1) * deviation**2
    low, high = (
        math.sqrt(squares / float(scipy.stats.chi2.ppf(quantile, count - 1)))
        for quantile in (_CONFIDENCE, 1 - _CONFIDENCE)
    )
    return low, high
