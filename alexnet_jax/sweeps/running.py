"""Runs the trials of a sweep that have no result."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from alexnet_jax.sweeps.local import divide_gpus, run_local, visible_gpus
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.sweeps.table import format_markdown, read_rows
from alexnet_jax.sweeps.trial_run import TrialRun
from alexnet_jax.training.preemption import Preempted

# Runs the missing trials. Those that have ended are what a scheduler compares them with.
Executor = Callable[[Sequence[TrialRun], Sequence[TrialRun], Path, Reporter], None]
Failures = Mapping[str, tuple[int | None, str]]  # Exit code and reason, by the trial's name.


def local_executor(gpus_per_trial: int | None) -> Executor:
    """Return what runs trials here: one by one, or side by side on `gpus_per_trial` GPUs each."""
    sets = divide_gpus(visible_gpus(), gpus_per_trial) if gpus_per_trial else [None]
    return lambda missing, ended, root, reporter: run_local(missing, sets, reporter)


def ray_executor(**options: Any) -> Executor:
    """Return what runs trials with Ray Tune; options as for `ray_tune.run_ray`."""
    from alexnet_jax.sweeps.ray_tune import run_ray

    return partial(run_ray, **options)


def run_missing(
    trials: Sequence[TrialRun], root: Path, execute: Executor, also_ended: Sequence[str] = ()
) -> Failures:
    """Run the trials that have no result, and return those that failed.

    After a signal the process exits as alexnet_jax.main does. `also_ended` are files: a trial whose
    folder has one is not run again, as STOPPED_EARLY of a trial that the scheduler has stopped.
    """
    ended = [trial for trial in trials if trial.ended(also_ended)]
    missing = [trial for trial in trials if trial not in ended]
    reporter = Reporter(root, trials)
    counts = f"{len(ended)} ended before, {len(missing)} to run"
    print(f"{len(trials)} trials in {root}: {counts}", flush=True)
    saved_before = sum(trial.saved_step() for trial in trials)
    try:
        if missing:
            execute(missing, ended, root, reporter)
    except Preempted as interruption:
        interruption.saved = sum(trial.saved_step() for trial in trials) > saved_before
        print(interruption.explain(), file=sys.stderr)
        sys.exit(interruption.exit_code)
    return reporter.failures


def exit_if_failed(failures: Failures, root: Path) -> None:
    """Print the failures and exit: with 2 or 3 if all have that exit code, otherwise with 1."""
    if not failures:
        return
    print(format_markdown(*read_rows(root)))
    for name, (_, reason) in failures.items():
        print(f"failed: {name}, {reason}; see {root / name}/output.txt", file=sys.stderr)
    print("The same command runs the failed trials again.", file=sys.stderr)
    codes = {exit_code for exit_code, _ in failures.values()}
    sys.exit(codes.pop() if codes in ({2}, {3}) else 1)
