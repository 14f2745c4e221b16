"""Running trials with Ray Tune, on one machine or many: ASHA gives up those that fall behind.

What has happened lies in the trials' folders and nowhere else. A sweep that is started again is a
new one for Ray, with the trials that are missing, and its scheduler is told the tests of the
others. Ray's own restoring forgets those, and cannot take a list of trials that has grown.
"""

import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.planned_trial import Evaluation, PlannedTrial, evaluations
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.sweeps.trial_process import TrialProcess
from alexnet_jax.training.interruption import StopSignal

# Ray reads these when it is imported: no reports to its makers, no logs of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Or it prints tables of its own at any verbosity.

try:
    import ray
    from ray import tune
    from ray.tune.experiment import Trial as RayTrial
    from ray.tune.schedulers import ASHAScheduler
except ImportError as error:
    raise UserError(
        f"--executor=ray needs Ray Tune ({error}): pip install -r requirements-sweep.txt"
    ) from error

_OBJECT_STORE_BYTES = 200 * 2**20  # Nothing but a few numbers goes through it.
_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_SAVE = 60.0
_TUNE_FOLDER = ".ray_tune"
_RETRIES = 1  # Of a trial whose worker or machine is lost; it goes on from its checkpoint.


@dataclass(frozen=True)
class RaySettings:
    """What a trial takes, and how soon one is given up.

    Attributes:
        cpus: of each trial.
        gpus: of each trial; None: one where the cluster has any.
        grace: no trial is given up before this share of its steps.
        reduction_factor: at `grace`, and whenever a trial has taken that many times more, it goes
            on if it is among the best 1/`reduction_factor` so far.
    """

    cpus: int
    gpus: int | None
    grace: float
    reduction_factor: float


def run_ray(
    trials: Sequence[PlannedTrial],
    ended: Sequence[PlannedTrial],
    root: Path,
    settings: RaySettings,
    reporter: Reporter,
) -> None:
    """Run `trials`; one that fails does not stop the others.

    Args:
        trials: those to run.
        ended: those that have finished or were stopped early before; the scheduler compares with
            them.
        root: of the sweep, on a disk that all machines share.
        settings: see RaySettings.
        reporter: is told what happens.

    Raises:
        Interrupted: SIGTERM or Ctrl-C came; the trials that were running have saved and ended.
    """
    folder = Path.cwd()
    there = [replace(trial, workdir=folder / trial.workdir) for trial in trials]
    root = folder / root
    request = root / ".stop"
    request.unlink(missing_ok=True)
    _connect()
    try:
        with StopSignal() as stop:
            _make_tuner(
                there,
                folder,
                request,
                _make_scheduler(settings, ended),
                settings,
                _Watcher(trials, reporter, stop, request),
            ).fit()
            stop.raise_if_received()
    finally:
        ray.shutdown()
        request.unlink(missing_ok=True)
        shutil.rmtree(root / _TUNE_FOLDER, ignore_errors=True)  # Nothing that is read again.


def train(
    config: dict[str, str], trials: dict[str, PlannedTrial], folder: Path, stop: Path
) -> None:
    """Train one trial in a process of its own, telling Tune of every test; runs in a worker."""
    trial = trials[config["name"]]
    process = TrialProcess(trial.arguments, trial.workdir, folder=folder)
    told = 0
    try:
        while process.poll() is None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            if stop.exists():
                process.stop()
                process.wait()
                return
            # The last test is told when result.json is written: Tune may end the trial for it.
            told = _tell(trial, told, up_to=trial.steps - 1)
        if process.wait() != 0:
            raise RuntimeError(f"exit code {process.wait()}: {process.last_words()}")
        _tell(trial, told, up_to=trial.steps)
    finally:
        process.kill()


def _tell(trial: PlannedTrial, told: int, up_to: int) -> int:
    """Report the tests after step `told`; return the step of the last one."""
    for test in evaluations(trial.workdir):
        if told < test.step <= up_to:
            told = test.step
            tune.report(_metrics(trial, test))
    return told


def _metrics(trial: PlannedTrial, test: Evaluation) -> dict[str, float]:
    return {
        "step": test.step,
        "progress": test.step / trial.steps,
        "top1_error": test.top1_error,
    }


def _connect() -> None:
    """Join the cluster that RAY_ADDRESS names, or start one of this machine alone."""
    alone: dict[str, Any] = {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    settings = {} if "RAY_ADDRESS" in os.environ else alone
    ray.init(log_to_driver=False, logging_level="error", **settings)


def _make_scheduler(settings: RaySettings, ended: Sequence[PlannedTrial]) -> ASHAScheduler:
    """Return ASHA over the share of its steps that a trial has taken, knowing the `ended` ones."""
    scheduler = ASHAScheduler(
        time_attr="progress",
        max_t=1,
        grace_period=settings.grace,
        reduction_factor=settings.reduction_factor,
        stop_last_trials=False,
    )
    scheduler.set_search_properties("top1_error", "min")
    for trial in ended:
        known = SimpleNamespace(trial_id=trial.name)
        scheduler.on_trial_add(None, known)
        for test in evaluations(trial.workdir):
            scheduler.on_trial_result(None, known, _metrics(trial, test))
    return scheduler


def _make_tuner(
    trials: Sequence[PlannedTrial],
    folder: Path,
    request: Path,
    scheduler: ASHAScheduler,
    settings: RaySettings,
    watcher: "_Watcher",
) -> tune.Tuner:
    gpus = settings.gpus
    if gpus is None:
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    trainable = tune.with_parameters(
        train, trials={trial.name: trial for trial in trials}, folder=folder, stop=request
    )
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": settings.cpus, "gpu": gpus}),
        param_space={"name": tune.grid_search([trial.name for trial in trials])},
        tune_config=tune.TuneConfig(
            # ASHA has been told the metric already.
            scheduler=scheduler,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=_TUNE_FOLDER,
            storage_path=str(root),
            callbacks=[watcher],
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            verbose=0,
        ),
    )


def _name(trial: RayTrial) -> str:
    name: str = trial.config["name"]
    return name


class _Watcher(tune.Callback):
    """Tells the reporter of what Tune does, and passes on that the sweep should stop."""

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        reporter: Reporter,
        stop: StopSignal,
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
            self._reporter.started(self._trials[_name(trial)])

    def on_trial_complete(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        """Tell that a trial has finished, or that ASHA has given it up."""
        planned = self._trials[_name(trial)]
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
        error = trial.get_error()
        cause = getattr(error, "cause", None) or error
        self._reporter.failed(self._trials[_name(trial)], " ".join(str(cause).split()))
