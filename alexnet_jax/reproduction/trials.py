"""The runs that an experiment needs on one data set, as the trials of a sweep."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet_jax.config.recipes import find_recipe, load_recipe
from alexnet_jax.reproduction.claims import BASELINE, BASELINE_RUNS, Experiment
from alexnet_jax.reproduction.measures import PILOT_SEED
from alexnet_jax.sweeps.planning import plan
from alexnet_jax.sweeps.trial_run import TrialRun
from alexnet_jax.sweeps.trials import SEED, Trial

RATE = "schedule.learning_rate"


def pilot_trials(experiment: Experiment) -> list[Trial]:
    """Return one run for each arm and rate among which an experiment chooses."""
    return [
        _trial(arm, overrides, PILOT_SEED, rate)
        for arm, overrides in experiment.arms.items()
        for rate in experiment.rates
    ]


def measured_trials(
    experiment: Experiment, arms: Collection[str], seeds: int, rates: Mapping[str, float]
) -> list[Trial]:
    """Return `seeds` runs of each of `arms`, more of the baseline; seeds count from 0.

    `rates` has the learning rate by arm, where the experiment chooses them.
    """
    return [
        _trial(arm, overrides, seed, rates.get(arm))
        for seed in range(BASELINE_RUNS * seeds)
        for arm, overrides in experiment.arms.items()
        if arm in arms and (seed < seeds or arm == BASELINE)
    ]


def _trial(arm: str, overrides: Mapping[str, Any], seed: int, rate: float | None) -> Trial:
    own: dict[str, float] = {SEED: seed} if seed else {}
    own |= {} if rate is None else {RATE: rate}
    return Trial({**overrides, **own}, trial_name(arm, own), group=arm)


def trial_name(arm: str, own: Mapping[str, Any]) -> str:
    """Return the name of a trial and of its folder: "tanh,train.seed=3".

    `own` is what sets the trial apart from the arm's others, by config key.
    """
    return ",".join([arm, *(f"{key}={value}" for key, value in own.items())])


def plan_trials(
    experiment: Experiment, data: str, data_dir: str, trials: Sequence[Trial], root: Path
) -> list[TrialRun]:
    """Check the trials and prepare their folders in `root`; raises as `sweeps.planning.plan`."""
    setting = experiment.data[data]
    config = load_recipe(find_recipe(setting.config))
    overrides = {**setting.overrides, "data.dir": data_dir}
    config.update_from_flattened_dict(overrides)
    return plan(config, setting.config, overrides, trials, seeds=1, root=root)
