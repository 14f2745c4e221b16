"""Runs trials with Ray Tune, on one machine or many; ASHA stops those that fall behind.

All state is in the trials' folders. A sweep that starts again is a new one for Ray, with the trials
that are missing, and its scheduler receives the evaluations of the others. Ray's own restore loses
those, and does not accept a longer list of trials.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.reporting import Failure, Reporter
from alexnet_jax.sweeps.trial_run import TrialRun, evaluations
from alexnet_jax.training.interruption import StopSignal
from alexnet_jax.whole_file import write_whole

# Ray reads these when it is imported: no usage statistics, no logs of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Otherwise it prints tables at any verbosity.

try:
    import ray
    from ray import tune
    from ray.tune.experiment import Trial as RayTrial
    from ray.tune.schedulers import ASHAScheduler
except ImportError as error:
    raise UserError(
        f"--executor=ray needs Ray Tune ({error}): pip install -r requirements-sweep.txt"
    ) from error

from alexnet_jax.sweeps.ray_worker import FAILURES, STOP_REQUEST, metrics, train

_OBJECT_STORE_BYTES = 200 * 2**20  # It holds only a few numbers.
_TUNE_FOLDER = ".ray_tune"
_RETRIES = 1  # Of a trial whose worker or machine is lost; it resumes from its checkpoint.
_SECONDS_TO_SAVE = 60.0


def run_ray(
    trials: Sequence[TrialRun],
    ended: Sequence[TrialRun],
    root: Path,
    reporter: Reporter,
    *,
    cpus: int,
    gpus: int | None,
    grace: float,
    reduction_factor: float,
) -> None:
    """Run the trials; one that fails does not stop the others.

    Args:
        trials: those to run.
        ended: those that finished or were stopped early before; ASHA compares with them.
        root: the sweep's folder, on a file system that all machines share.
        reporter: receives every start and end.
        cpus: for each trial.
        gpus: for each trial. None: one if the cluster has any.
        grace: the fraction of its steps before which ASHA stops no trial.
        reduction_factor: at `grace`, and each time a trial has taken this many times more steps, it
            continues if it is among the best 1/`reduction_factor` so far.

    Raises:
        Interrupted: SIGTERM or Ctrl-C came; the running trials have saved and ended.
    """
    scheduler = ASHAScheduler(
        time_attr="progress",
        max_t=1,
        grace_period=grace,
        reduction_factor=reduction_factor,
        stop_last_trials=False,
    )
    scheduler.set_search_properties("top1_error", "min")
    for trial in ended:
        known = SimpleNamespace(trial_id=trial.name)
        scheduler.on_trial_add(None, known)
        for evaluation in evaluations(trial.workdir):
            scheduler.on_trial_result(None, known, metrics(trial, *evaluation))
    _remove_files(root)
    (root / FAILURES).mkdir()
    _connect()
    try:
        if gpus is None:
            gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        named = {trial.name: trial for trial in trials}
        trainable = tune.with_parameters(train, trials=named, folder=Path.cwd(), root=root)
        with StopSignal() as stop:
            tune.Tuner(
                tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
                param_space={"name": tune.grid_search(list(named))},
                tune_config=tune.TuneConfig(scheduler=scheduler),
                run_config=tune.RunConfig(
                    name=_TUNE_FOLDER,
                    storage_path=str(root.absolute()),
                    callbacks=[_Watcher(named, root, reporter, stop)],
                    failure_config=tune.FailureConfig(max_failures=_RETRIES),
                    verbose=0,
                ),
            ).fit()
            stop.raise_if_received()
    finally:
        ray.shutdown()
        _remove_files(root)


def _remove_files(root: Path) -> None:
    (root / STOP_REQUEST).unlink(missing_ok=True)
    shutil.rmtree(root / FAILURES, ignore_errors=True)
    shutil.rmtree(root / _TUNE_FOLDER, ignore_errors=True)


def _connect() -> None:
    """Join the cluster that RAY_ADDRESS names, or start one of this machine alone."""
    alone: dict[str, Any] = {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    settings = {} if "RAY_ADDRESS" in os.environ else alone
    ray.init(log_to_driver=False, logging_level="error", **settings)


class _Watcher(tune.Callback):
    """Reports the starts and ends of Tune's trials, and ends Tune's loop after a stop signal."""

    def __init__(
        self, trials: dict[str, TrialRun], root: Path, reporter: Reporter, stop: StopSignal
    ) -> None:
        self._trials = trials
        self._root = root
        self._reporter = reporter
        self._stop = stop
        self._deadline: float | None = None

    def on_step_begin(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        if not self._stop.received:
            return
        running = [trial for trial in trials if trial.status == RayTrial.RUNNING]
        if self._deadline is None:
            self._deadline = time.monotonic() + _SECONDS_TO_SAVE
            (self._root / STOP_REQUEST).touch()
            self._reporter.say(f"stopping {len(running)} trial(s), which save first ...")
        if not running or time.monotonic() > self._deadline:
            signal.raise_signal(signal.SIGUSR1)  # Ends Tune's loop.

    def on_trial_start(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        if not self._stop.received:
            self._reporter.started(self._trials[trial.config["name"]])

    def on_trial_complete(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        ended = self._trials[trial.config["name"]]
        failure = self._root / FAILURES / ended.name
        if ended.result() is not None:
            self._reporter.finished(ended)
        elif self._stop.received:
            return
        elif failure.exists():
            self._reporter.failed(ended, Failure(*json.loads(failure.read_text())))
        else:
            step, top1_error = trial.last_result["step"], trial.last_result["top1_error"]
            text = json.dumps({"step": step, "center": {"top1_error": top1_error}})
            write_whole(ended.workdir / "stopped_early.json", text + "\n")
            self._reporter.stopped_early(ended, step, top1_error)

    def on_trial_error(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any
    ) -> None:
        if not self._stop.received:  # The signal may have ended the trial, too.
            error = trial.get_error()
            reason = " ".join(str(getattr(error, "cause", None) or error).split())
            self._reporter.failed(self._trials[trial.config["name"]], Failure(None, reason))
