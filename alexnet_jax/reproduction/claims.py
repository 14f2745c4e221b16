"""The table of claims, `claims.toml`, read and checked."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from alexnet_jax.errors import UserError

BASELINE = "baseline"
BASELINE_RUNS = 2  # For each seed: every claim of an experiment is compared with it.


@dataclass(frozen=True)
class Setting:
    """How an experiment runs on one data set."""

    config: str  # The recipe, a file of configs/.
    overrides: Mapping[str, Any] = field(default_factory=dict)  # Of all arms, by config key.
    prepare: str = ""  # Flags of `alexnet_jax.prepare` that make the data set.
    target: float | None = None  # Training error, a fraction, that `sooner` waits for.
    about: str = ""  # A paragraph for the page: network, data, schedule.


@dataclass(frozen=True)
class Experiment:
    """Arms that differ from one config, each by its overrides, on one or more data sets."""

    name: str  # Of its folder of runs, and of its log.
    title: str  # For the page.
    arms: Mapping[str, Mapping[str, Any]]  # Config overrides by the arm's name.
    data: Mapping[str, Setting]  # By the data set's name.
    rates: tuple[float, ...] = ()  # Each arm trains at the best of these; none: at the config's.


@dataclass(frozen=True)
class Claim:
    """A statement of the paper or of its code's log that runs can test."""

    name: str  # For --claim.
    section: str  # Where it stands.
    statement: str  # In our words.
    published: str  # The published numbers, in words.
    source: str  # Of these numbers.
    measure: str  # Name in `measures.MEASURES`.
    experiment: str  # Name of the experiment.
    arm: str  # The changed network or training.
    against: str = BASELINE  # What it is compared with.
    networks: int = 1  # Number of the arm's networks whose probabilities are averaged.
    sign: int = 1  # 1 where the claim says that the measure is above zero, -1 below, 0 about zero.
    # Published, in percentage points of top-1 error; for the number of seeds.
    difference: float | None = None
    caution: str = ""  # What makes the comparison weaker than it looks.

    @property
    def place(self) -> str:
        """Where the claim is made: "§ 3.1" of the paper, or "2012 code"."""
        return self.section if self.section == "2012 code" else f"§ {self.section}"

    @property
    def runs(self) -> Mapping[str, int]:
        """Runs of each arm for each seed."""
        return {arm: BASELINE_RUNS if arm == BASELINE else 1 for arm in (self.arm, self.against)}

    @property
    def compared(self) -> str:
        """What is compared, in words."""
        if self.networks > 1:
            ensembles = f"ensembles of {self.networks} networks of {self.arm}"
            return f"{ensembles} with the mean of their members"
        return self.arm if self.arm == self.against else f"{self.arm} with {self.against}"


@dataclass(frozen=True)
class Fact:
    """A statement that needs no training: a test of ours proves it."""

    section: str
    statement: str
    proof: str  # The test, as pytest names it.
    note: str = ""  # Where the statement and the code disagree.


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
    # What published runs on ImageNet had reached: epoch, losses, errors of the center crop, source.
    milestones: tuple[Mapping[str, Any], ...]

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
    table = tomllib.loads(resources.files(__package__).joinpath("claims.toml").read_text())
    return Claims(
        {name: _experiment(name, values) for name, values in table["experiments"].items()},
        tuple(Claim(name=name, **values) for name, values in table["claims"].items()),
        tuple(Fact(**values) for values in table["facts"]),
        tuple(Untested(**values) for values in table["untested"]),
        tuple(table["milestones"]),
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
