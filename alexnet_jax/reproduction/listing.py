"""The table of claims for a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from alexnet_jax.reproduction import costs
from alexnet_jax.reproduction.claims import BASELINE_RUNS, Claim, Claims, Experiment
from alexnet_jax.reproduction.measures import MEASURES
from alexnet_jax.sweeps.statistics import ALPHA


def format_claims(claims: Claims, names: Sequence[str] = ()) -> str:
    """Return each claim, or those in `names`: arms, measure, published number, data, cost.

    Then their experiments; without `names` also the statements that need no run or have none.
    """
    chosen = [claims.find(name) for name in names] or list(claims.claims)
    blocks = [_block(_lines(claims, claim)) for claim in chosen]
    experiments = {claim.experiment for claim in chosen}
    blocks += [_block(_settings(claims.experiments[name])) for name in sorted(experiments)]
    if not names:
        blocks += [
            _block([f"(section {each.section})", each.statement, f"test       {each.proof}"])
            for each in claims.facts
        ]
        blocks += [
            _block([f"(section {each.section})", each.statement, f"needs      {each.needs}"])
            for each in claims.untested
        ]
    assumed = (
        f"The number of seeds is for p < {ALPHA} nine times in ten, if a run's top-1 error has a "
        f"standard deviation of {costs.ASSUMED_DEVIATION} points. The baseline has "
        f"{BASELINE_RUNS} runs for each seed. Hours are those of the baseline's steps, measured."
    )
    return "\n\n".join([*blocks, textwrap.fill(assumed, 100)])


def _block(lines: Iterable[str]) -> str:
    wrapped = [
        textwrap.fill(
            line,
            98,
            subsequent_indent=" " * 11,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for line in lines
    ]
    return "\n  ".join("\n".join(wrapped).split("\n"))


def _lines(claims: Claims, claim: Claim) -> Iterator[str]:
    experiment = claims.experiments[claim.experiment]
    yield f"{claim.name}  (section {claim.section})"
    yield claim.statement
    yield f"compares   {claim.compared}"
    for arm in claim.runs:
        yield f"arm        {arm}: {_spell(experiment.arms[arm]) or 'the config as it is'}"
    yield f"measures   {MEASURES[claim.measure].title}"
    yield f"published  {claim.published}"
    yield f"source     {claim.source}"
    yield f"data       {', '.join(experiment.data)}; see experiment {experiment.name}"
    yield f"ImageNet   {_cost(claims, claim)}"


def _spell(overrides: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def _settings(experiment: Experiment) -> Iterator[str]:
    yield f"experiment {experiment.name}: {experiment.title}"
    for name, each in experiment.data.items():
        yield f"on {name}: {each.config} {_spell(each.overrides)}"


def _cost(claims: Claims, claim: Claim) -> str:
    cost = costs.imagenet_cost(claims, claim)
    if cost is None:
        return "not tried there"
    runs = f"{cost.runs} runs for each seed"
    if cost.seeds is not None:
        runs = (
            f"--seeds={cost.seeds} tells {claim.difference} points from noise, with {cost.runs} "
            "runs"
        )
    hours = [f"{cost.runs * hours:,.0f} h on one {device}" for device, hours in cost.hours]
    return ", ".join([runs, *hours])
