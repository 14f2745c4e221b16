"""The table of claims, `claims.toml`, read and checked."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from alexnet_jax.errors import UserError

BASELINE = "baseline"


@dataclass(frozen=True)
class Setting:
    """How an experiment runs on one data set.

    Attributes:
        config: the recipe, a file of configs/.
        overrides: config keys that all arms share.
        prepare: flags of `alexnet_jax.prepare` that make the data set.
        target: training error, a fraction, that `sooner` waits for.
        about: a paragraph for the page: network, data, schedule.
    """

    config: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    prepare: str = ""
    target: float | None = None
    about: str = ""


@dataclass(frozen=True)
class Experiment:
    """Arms that differ from one config, each by its overrides, on one or more data sets.

    Attributes:
        name: of its folder of runs, and of its log.
        title: for the page.
        arms: config overrides by the arm's name.
        rates: learning rates among which each arm's own is chosen; none: all have the config's.
        data: setting by the data set's name.
    """

    name: str
    title: str
    arms: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Setting]
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A statement of the paper or of its code's log that runs can test.

    Attributes:
        name: for --claim.
        section: where it stands.
        statement: in our words.
        published: the published numbers, in words.
        source: of these numbers.
        measure: name in `measures.MEASURES`.
        experiment: name of the experiment; empty where no run of ours can test it.
        arm: the changed network or training.
        against: what it is compared with.
        networks: number of the arm's networks whose probabilities are averaged.
        sign: 1 where the claim says that the measure is above zero, -1 below, 0 about zero.
        difference: published, in percentage points of top-1 error; for the number of seeds.
        data: the published number's data set.
        caution: what makes the comparison weaker than it looks.
    """

    name: str
    section: str
    statement: str
    published: str
    source: str
    measure: str
    experiment: str
    arm: str
    against: str = BASELINE
    networks: int = 1
    sign: int = 1
    difference: float | None = None
    data: str = "imagenet2012"
    caution: str = ""

    @property
    def compared(self) -> str:
        """What is compared, in words."""
        if self.networks > 1:
            return f"ensembles of {self.networks} networks of {self.arm} with single ones"
        return self.arm if self.arm == self.against else f"{self.arm} with {self.against}"


@dataclass(frozen=True)
class Fact:
    """A statement that needs no training: a test of ours proves it.

    Attributes:
        proof: the test, as pytest names it.
        note: where the statement and the code disagree.
    """

    section: str
    statement: str
    proof: str
    note: str = ""


@dataclass(frozen=True)
class Untested:
    """A statement that nothing here tests, and what it would take."""

    section: str
    statement: str
    needs: str


@dataclass(frozen=True)
class Claims:
    """All of `claims.toml`."""

    experiments: Mapping[str, Experiment]
    claims: tuple[Claim, ...]
    facts: tuple[Fact, ...]
    untested: tuple[Untested, ...]

    def find(self, name: str) -> Claim:
        """Return a claim by name; UserError lists the names."""
        named = {claim.name: claim for claim in self.claims}
        if name not in named:
            raise UserError(f"--claim={name}: no such claim; there are {', '.join(named)}")
        return named[name]

    def of_experiment(self, name: str) -> list[Claim]:
        """Return the claims that an experiment's runs test."""
        return [claim for claim in self.claims if claim.experiment == name]


def load_claims() -> Claims:
    """Read the table that the package brings."""
    text = resources.files(__package__).joinpath("claims.toml").read_text()
    table = tomllib.loads(text)
    experiments = {name: _experiment(name, values) for name, values in table["experiments"].items()}
    claims = tuple(Claim(name=name, **values) for name, values in table["claims"].items())
    return Claims(
        experiments,
        claims,
        tuple(Fact(**values) for values in table["facts"]),
        tuple(Untested(**values) for values in table["untested"]),
    )


def _experiment(name: str, values: Mapping[str, Any]) -> Experiment:
    arms = {arm: _tuples(overrides) for arm, overrides in values["arms"].items()}
    data = {
        data: Setting(**{**setting, "overrides": _tuples(setting.get("overrides", {}))})
        for data, setting in values["data"].items()
    }
    return Experiment(name, values["title"], arms, data, tuple(values.get("rates", ())))


def _tuples(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return TOML's lists as the tuples that a config has."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in overrides.items()
    }
