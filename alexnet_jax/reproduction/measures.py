"""What a claim is measured by: from the runs of two arms to a number with its interval."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from alexnet_jax.reproduction.claims import Claim, Setting
from alexnet_jax.reproduction.logs import Log, LoggedRun
from alexnet_jax.sweeps.statistics import Estimate, average, difference, share_difference

PILOT_SEED = 1000  # And above: seeds of runs that choose a rate; no measured run has one.
_PERCENT = 100.0
_PLATEAU = 0.9


Curve = Sequence[Sequence[float]]  # [epoch, loss, top-1 error] of each point.
# The estimate from a log, or None where its runs are missing. Its value is in percentage points, or
# a logarithm for a ratio.
_Compute = Callable[[Log, Claim, Setting], Estimate | None]


@dataclass(frozen=True)
class Measure:
    """A way to compare two arms."""

    compute: _Compute
    title: str  # What is compared, for a table.
    # Of a run, where its epochs to a target are compared, as a factor.
    curve: Callable[[LoggedRun], Curve] | None = None


def _compare(number: Callable[[LoggedRun], float | None]) -> _Compute:
    """Return the comparison of a number's means over the runs of both arms that have it."""

    def compute(log: Log, claim: Claim, setting: Setting) -> Estimate | None:
        own, other = (
            [each for run in log.of_arm(arm) if (each := number(run)) is not None]
            for arm in (claim.arm, claim.against)
        )
        return difference(own, other) if own and other else None

    return compute


def _error(run: LoggedRun, views: str = "ten_crop") -> float:
    return _PERCENT * run.result[views]["top1_error"]


def _training_error(run: LoggedRun) -> float | None:
    return _PERCENT * run.training_set["center"]["top1_error"] if run.training_set else None


def _gap(run: LoggedRun) -> float | None:
    """Return how much more a run errs on validation than on its own training images."""
    if not run.training_set:
        return None
    errors = [scores["center"]["top1_error"] for scores in (run.result, run.training_set)]
    return _PERCENT * (errors[0] - errors[1])


def _ten_crops(log: Log, claim: Claim, setting: Setting) -> Estimate | None:
    """Compare the views of the same run: ten crops less the center crop."""
    runs = log.of_arm(claim.arm)
    return average([_error(run) - _error(run, "center") for run in runs]) if runs else None


def _ensemble(log: Log, claim: Claim, setting: Setting) -> Estimate | None:
    """Compare each ensemble of the claim's number of networks with the mean of its members."""
    single = {run.seed: _error(run) for run in log.of_arm(claim.arm)}
    gains = [
        _PERCENT * each.scores["ten_crop"]["top1_error"] - mean(single[s] for s in each.seeds)
        for each in log.ensembles
        if len(each.seeds) == claim.networks
    ]
    return average(gains) if gains else None


def _sooner(curve: Callable[[LoggedRun], Curve], title: str) -> Measure:
    """Return the comparison of the epochs until a run's curve is at the setting's target.

    Its value is the logarithm of their ratio.
    """

    def compute(log: Log, claim: Claim, setting: Setting) -> Estimate | None:
        target = setting.target
        assert target is not None, "claims.toml gives it"
        own, other = (
            [epochs_to(curve(run), target) for run in log.of_arm(arm) if not is_pilot(run)]
            for arm in (claim.arm, claim.against)
        )
        if not own or not other or math.inf in (*own, *other):
            return None
        return difference(*([math.log(epochs) for epochs in each] for each in (own, other)))

    return Measure(compute, title, curve)


def _stuck(log: Log, claim: Claim, setting: Setting) -> Estimate | None:
    """Compare the shares of runs that end at the loss of a network that knows nothing."""
    own, other = (
        [steps_to_leave(run, log.config) is None for run in log.of_arm(arm)]
        for arm in (claim.arm, claim.against)
    )
    return share_difference(own, other) if own and other else None


MEASURES: Mapping[str, Measure] = {
    "error": Measure(_compare(_error), "top-1 error with ten crops"),
    "gap": Measure(_compare(_gap), "top-1 error, center crop: validation less training images"),
    "training_error": Measure(
        _compare(_training_error),
        "top-1 error on the training images, center crop, without dropout",
    ),
    "ten_crops": Measure(_ten_crops, "top-1 error: ten crops less center crop"),
    "ensemble": Measure(_ensemble, "top-1 error with ten crops"),
    "stuck": Measure(_stuck, "runs that end at the loss of a guess, in percent"),
    "sooner": _sooner(lambda run: run.train, "epochs to the training error"),
    "sooner_validation": _sooner(lambda run: run.evaluations, "epochs to the validation error"),
}


def epochs_to(curve: Curve, target: float) -> float:
    """Return the epochs until the error of a curve is `target`, between two of its points.

    Infinity if it never gets there.
    """
    before: tuple[float, float] | None = None
    for epoch, _, error in curve:
        if error <= target:
            if before is None:
                return epoch
            share = (before[1] - target) / (before[1] - error)
            return before[0] + share * (epoch - before[0])
        before = epoch, error
    return math.inf


def steps_to_leave(run: LoggedRun, config: Mapping[str, Any]) -> int | None:
    """Return the steps after which a run knows more than the number of classes; None if never.

    From then on the loss of every logged window of training steps is below `_PLATEAU` times that of
    a guess, ln(classes). `config` is that of the run's log.
    """
    limit = _PLATEAU * math.log(config["model.num_classes"])
    above = [index for index, (_, loss, _) in enumerate(run.train) if not loss < limit]
    first = above[-1] + 1 if above else 0
    return (first + 1) * config["log.every_steps"] if first < len(run.train) else None


def fastest_rates(runs: Sequence[LoggedRun], target: float) -> dict[str, float]:
    """Return, by arm, the rate of the pilot run that reaches `target` soonest.

    Of arms without a run that gets there, nothing.
    """
    rates: dict[str, tuple[float, float]] = {}
    for run in runs:
        if not is_pilot(run) or run.rate is None:
            continue
        candidate = epochs_to(run.train, target), run.rate
        if candidate[0] < math.inf:
            rates[run.arm] = min(rates.get(run.arm, candidate), candidate)
    return {arm: rate for arm, (_, rate) in rates.items()}


def is_pilot(run: LoggedRun) -> bool:
    """Return whether a run only chose a learning rate."""
    return run.seed >= PILOT_SEED
