"""What the sweep learns from Ray Tune, and how it ends Tune's loop."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as RayTrial

from alexnet_jax.sweeps.planned_trial import PlannedTrial
from alexnet_jax.sweeps.ray_trial import TrialError
from alexnet_jax.sweeps.reporting import Failure, Reporter
from alexnet_jax.training.preemption import PreemptionGuard

_SECONDS_TO_SAVE = 60.0


def trial_name(trial: RayTrial) -> str:
    """Return the name of our trial that is one of Tune's."""
    name: str = trial.config["name"]
    return name


class Watcher(tune.Callback):
    """Tells the reporter of what Tune does, and passes on that the sweep should stop."""

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        reporter: Reporter,
        stop: PreemptionGuard,
        request: Path,
    ) -> None:
        self._trials = {trial.name: trial for trial in trials}
        self._reporter = reporter
        self._stop = stop
        self._request = request
        self._deadline: float | None = None

    def on_step_begin(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        """Let the running trials save, then end Tune's loop."""
        if not self._stop.received:
            return
        running = [trial for trial in trials if trial.status == RayTrial.RUNNING]
        if self._deadline is None:
            self._deadline = time.monotonic() + _SECONDS_TO_SAVE
            self._request.touch()
            self._reporter.say(f"stopping {len(running)} trial(s), which save first ...")
        if not running or time.monotonic() > self._deadline:
            signal.raise_signal(signal.SIGUSR1)

    def on_trial_start(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        """Tell that a trial is running."""
        if not self._stop.received:
            self._reporter.started(self._trials[trial_name(trial)])

    def on_trial_complete(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        """Tell that a trial has finished, or that ASHA has given it up."""
        planned = self._trials[trial_name(trial)]
        if planned.result() is not None:
            self._reporter.finished(planned)
        elif not self._stop.received:
            last = trial.last_result
            planned.note_stopped_early(last["step"], last["top1_error"])
            self._reporter.stopped_early(planned, last["step"], last["top1_error"])

    def on_trial_error(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        """Tell that a trial has failed."""
        if self._stop.received:
            return  # Whoever stopped the sweep may have stopped the trial, too.
        error = trial.get_error()
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, TrialError):
            failure = Failure(cause.exit_code, cause.reason)
        else:
            failure = Failure(None, " ".join(str(cause).split()))
        self._reporter.failed(self._trials[trial_name(trial)], failure)
