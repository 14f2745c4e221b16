"""Runs what a claim needs and is missing, and writes the experiment's log."""

from collections.abc import Collection, Sequence
from pathlib import Path

from alexnet_jax.errors import UserError
from alexnet_jax.reproduction.claims import BASELINE, Claim, Claims, Experiment
from alexnet_jax.reproduction.collecting import read_config, read_ensembles, read_runs
from alexnet_jax.reproduction.logs import Log, LoggedRun, log_path, merge, read_log
from alexnet_jax.reproduction.measures import fastest_rates
from alexnet_jax.reproduction.trials import measured_trials, pilot_trials, plan_trials
from alexnet_jax.runs.reading import DIVERGED
from alexnet_jax.sweeps.running import Executor, Failures, exit_if_failed, run_missing
from alexnet_jax.sweeps.trials import Trial


def choose(claims: Claims, names: Sequence[str], data: str) -> list[tuple[Experiment, list[Claim]]]:
    """Return the experiments to run on a data set, each with its claims.

    Without `names` of claims, these are all that the data set can test.

    Raises:
        UserError: an unknown claim or data set, or a claim that the data set cannot test.
    """
    chosen = [claims.find(name) for name in names] or list(claims.claims)
    for claim in chosen if names else []:
        known = claims.experiments[claim.experiment].data
        if data not in known:
            raise UserError(f"--data={data}: claim {claim.name} can be tried on {', '.join(known)}")
    found = [
        (experiment, [claim for claim in chosen if claim.experiment == experiment.name])
        for experiment in claims.experiments.values()
        if data in experiment.data
    ]
    found = [(experiment, own) for experiment, own in found if own]
    if not found:
        names = sorted({name for each in claims.experiments.values() for name in each.data})
        raise UserError(f"--data={data}: no claim has it; there are {', '.join(names)}")
    return found


def run_experiments(
    chosen: Sequence[tuple[Experiment, Sequence[Claim]]],
    data: str,
    data_dir: str,
    seeds: int,
    workdir: Path,
    results: Path,
    execute: Executor,
) -> None:
    """Train the runs of the claims' arms that are missing, then write each experiment's log.

    No network is evaluated before the last is trained: from then on this process has threads, which
    Ray must not fork, and the memory of a GPU, which a trial would need.

    Args:
        chosen: Experiments, each with claims that use it.
        data: Name of the data set.
        data_dir: Folder in which the data set was prepared.
        seeds: Number of seeds of each arm; the baseline has BASELINE_RUNS times as many.
        workdir: Folder of all runs.
        results: Folder of the logs.
        execute: Function that runs trials, as for `run_missing`.
    """
    roots = [workdir / data.replace("/", "_") / experiment.name for experiment, _ in chosen]
    for (experiment, claims), root in zip(chosen, roots, strict=True):
        _train(experiment, claims, data, data_dir, seeds, root, execute)
    for (experiment, claims), root in zip(chosen, roots, strict=True):
        runs = list(read_runs(root, experiment, _arms_to_look_at(claims)))
        path = log_path(results, data, experiment.name)
        kept = read_log(path) if path.is_file() else Log(experiment.name, data, {}, ())
        several = any(claim.networks > 1 for claim in claims)
        ensembles = read_ensembles(root, runs) if several else kept.ensembles
        new = Log(experiment.name, data, read_config(root), merge(kept.runs, runs), ensembles)
        new.write(path)


def _train(
    experiment: Experiment,
    claims: Sequence[Claim],
    data: str,
    data_dir: str,
    seeds: int,
    root: Path,
    execute: Executor,
) -> None:
    def train(trials: Sequence[Trial], also_ended: Sequence[str] = ()) -> Failures:
        planned = plan_trials(experiment, data, data_dir, trials, root)
        return run_missing(planned, root, execute, also_ended)

    arms = {arm for claim in claims for arm in claim.runs}
    rates: dict[str, float] = {}
    if experiment.rates:
        # A rate that makes the loss blow up is not the fastest; its failure is printed, once.
        train(pilot_trials(experiment), [DIVERGED])
        rates = _choose_rates(experiment, data, list(read_runs(root, experiment, ())))
    exit_if_failed(train(measured_trials(experiment, arms, seeds, rates)), root)


def _choose_rates(experiment: Experiment, data: str, runs: Sequence[LoggedRun]) -> dict[str, float]:
    target = experiment.data[data].target
    assert target is not None, "an experiment that chooses its rates has one"
    rates = fastest_rates(runs, target)
    for arm in experiment.arms:
        if arm not in rates:
            raise UserError(
                f"{arm} reaches a training error of {target:.0%} at none of the rates "
                f"{', '.join(map(str, experiment.rates))}; it needs more epochs, or other rates"
            )
        print(f"{arm}: learning rate {rates[arm]:g}, the fastest of {len(experiment.rates)}")
    return rates


def _arms_to_look_at(claims: Sequence[Claim]) -> Collection[str]:
    """Return the arms whose training images are evaluated, and the baseline for its mistakes."""
    measured = [claim for claim in claims if claim.measure in ("gap", "training_error")]
    return {BASELINE, *(arm for claim in measured for arm in (claim.arm, claim.against))}
