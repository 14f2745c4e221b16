"""What the logs say of each claim: the estimate, and a verdict by a fixed rule."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet_jax.reproduction.claims import Claim, Claims
from alexnet_jax.reproduction.logs import Log, log_path, read_log
from alexnet_jax.reproduction.measures import MEASURES
from alexnet_jax.sweeps.statistics import ALPHA, Estimate


@dataclass(frozen=True)
class Finding:
    """A claim, measured on one data set."""

    claim: Claim
    data: str  # Name of the data set.
    estimate: Estimate  # As `Measure.compute` returns it.
    verdict: str  # In words; see `find_verdict`.


def find_verdict(claim: Claim, estimate: Estimate) -> str:
    """Return the verdict: a sign counts only at p < ALPHA."""
    if estimate.p is None:
        return "too few runs"
    found = estimate.sign()
    if claim.sign == 0:
        return "differs" if found else "no difference found"
    if found == 0:
        return "not told apart"
    return "agrees" if found == claim.sign else "the opposite"


def read_logs(results: Path, claims: Claims) -> list[Log]:
    """Read the logs in the folder of results; a log's path names its data set and experiment."""
    return [
        replace(read_log(path), experiment=experiment.name, data=data)
        for experiment in claims.experiments.values()
        for data in experiment.data
        if (path := log_path(results, data, experiment.name)).is_file()
    ]


def find(claims: Claims, logs: Sequence[Log]) -> list[Finding]:
    """Return a finding for each claim and data set whose log has the runs."""
    findings = []
    for claim in claims.claims:
        for log in logs:
            if log.experiment != claim.experiment:
                continue
            setting = claims.experiments[log.experiment].data[log.data]
            estimate = MEASURES[claim.measure].compute(log, claim, setting)
            if estimate is not None:
                findings.append(Finding(claim, log.data, estimate, find_verdict(claim, estimate)))
    return findings


def format_value(claim: Claim, estimate: Estimate) -> str:
    """Return the value with its interval: "+1.4 (0.9 to 1.9) points", "6.0 (5.1 to 7.0) times"."""
    if MEASURES[claim.measure].curve:
        value, low, high = (
            None if each is None else math.exp(each)
            for each in (estimate.value, estimate.low, estimate.high)
        )
        interval = "" if low is None else f" ({low:.2f} to {high:.2f})"
        return f"{value:.2f}{interval} times"
    interval = "" if estimate.low is None else f" ({estimate.low:+.1f} to {estimate.high:+.1f})"
    return f"{estimate.value:+.1f}{interval}"


def format_deviation(claim: Claim, estimate: Estimate) -> str:
    """Return the standard deviation over runs: in points, or of a ratio's numbers in percent."""
    if estimate.deviation is None:
        return ""
    if MEASURES[claim.measure].curve:
        return f"{100 * estimate.deviation:.0f} %"  # Of the logarithm, which is nearly that.
    return f"{estimate.deviation:.1f}"


def format_p(p: float | None) -> str:
    """Return a p-value as papers print it."""
    if p is None:
        return ""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}" if p < ALPHA else f"{p:.2f}"
