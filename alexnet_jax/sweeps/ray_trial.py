"""What a Ray worker does for a trial: watch its process, and tell Tune of its tests."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ray import tune

from alexnet_jax.atomic_write import atomic_write
from alexnet_jax.sweeps.planned_trial import Evaluation, PlannedTrial, evaluations
from alexnet_jax.sweeps.trial_process import TrialProcess, Tries

_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True)
class Orders:
    """What all workers are told.

    Attributes:
        trials: by name.
        folder: where to start trials: that of the sweep.
        stop_request: a file; once it is there, trials save and end.
        failures: a folder of what failed for good: Tune starts a worker that fails once more, as
            it must where it lost one.
    """

    trials: Mapping[str, PlannedTrial]
    folder: Path
    stop_request: Path
    failures: Path


class TrialError(RuntimeError):
    """A trial's process ended with an error, and need not be tried again."""

    def __init__(self, exit_code: int, reason: str) -> None:
        super().__init__(exit_code, reason)
        self.exit_code = exit_code
        self.reason = reason


def train(config: Mapping[str, str], orders: Orders) -> None:
    """Train the trial that Tune's `config` names, in a process of its own."""
    trial = orders.trials[config["name"]]
    failed = orders.failures / trial.name
    if failed.exists():
        raise TrialError(*json.loads(failed.read_text()))
    tries, told = Tries(), 0
    while True:
        process = TrialProcess(trial.arguments, trial.workdir, folder=orders.folder)
        try:
            while process.poll() is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                if orders.stop_request.exists():
                    process.stop()
                    process.wait()
                    return
                # The last test waits for result.json: Tune may end the trial that tells of it.
                told = _tell(trial, told, up_to=trial.steps - 1)
        finally:
            process.kill()  # Tune leaves `report` by SystemExit when it has given the trial up.
        code = process.wait()
        if code == 0:
            break
        if not tries.again(code):
            failure = (code, process.last_words())
            atomic_write(failed, json.dumps(failure))
            raise TrialError(*failure)
    _tell(trial, told, up_to=trial.steps)


def metrics(trial: PlannedTrial, test: Evaluation) -> dict[str, float]:
    """Return what Tune is told of a test; `progress` is the share of the trial's steps."""
    return {
        "step": test.step,
        "progress": test.step / trial.steps,
        "top1_error": test.top1_error,
    }


def _tell(trial: PlannedTrial, told: int, up_to: int) -> int:
    """Report the tests after step `told`; return the step of the last one."""
    for test in evaluations(trial.workdir):
        if told < test.step <= up_to:
            told = test.step
            tune.report(metrics(trial, test))
    return told
