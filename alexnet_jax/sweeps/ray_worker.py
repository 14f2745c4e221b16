"""Trains a trial in a Ray worker and reports its evaluations to Ray Tune. Imports no JAX."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ray import tune

from alexnet_jax.sweeps.trial_run import Attempts, TrialRun, evaluations
from alexnet_jax.whole_file import write_whole

# In the sweep's folder, while it runs.
STOP_REQUEST = ".stop"  # A file that makes the trials save and end.
FAILURES = ".failed"  # A folder with a file for each failed trial: [exit code, last output].
_SECONDS_BETWEEN_LOOKS = 0.25


def train(
    config: Mapping[str, str], trials: Mapping[str, TrialRun], folder: Path, root: Path
) -> None:
    """Train the trial that Tune's `config` names, in a process of its own.

    Args:
        config: {"name": that of the trial}.
        trials: by name.
        folder: where the sweep was started; trials and `root` may have paths relative to it.
        root: the sweep's folder.
    """
    os.chdir(folder)
    trial = trials[config["name"]]
    attempts, reported, code = Attempts(), 0, None
    while code != 0:
        process = trial.start()
        try:
            while process.poll() is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                if (root / STOP_REQUEST).exists():
                    process.terminate()
                    process.wait()
                    return
                # The last evaluation waits for result.json, because Tune may end the trial then.
                reported = _report(trial, reported, up_to=trial.steps - 1)
        finally:
            process.kill()  # When ASHA stops the trial, tune.report raises SystemExit.
            code = process.wait()
        if code != 0 and not attempts.again(code):
            write_whole(root / FAILURES / trial.name, json.dumps([code, trial.last_output()]))
            return
    _report(trial, reported, up_to=trial.steps)


def metrics(trial: TrialRun, step: int, top1_error: float) -> dict[str, float]:
    """Return an evaluation for Tune; `progress` is the fraction of the trial's steps."""
    return {"step": step, "progress": step / trial.steps, "top1_error": top1_error}


def _report(trial: TrialRun, reported: int, up_to: int) -> int:
    """Report the evaluations after step `reported`; return the step of the last one."""
    for step, top1_error in evaluations(trial.workdir):
        if reported < step <= up_to:
            reported = step
            tune.report(metrics(trial, step, top1_error))
    return reported
