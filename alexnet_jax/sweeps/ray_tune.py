"""Runs trials with Ray Tune, on one machine or many; ASHA stops those that fall behind.

All state is in the trials' folders. A sweep that starts again is a new one for Ray, with the trials
that are missing, and its scheduler receives the evaluations of the others. Ray's own restore loses
those, and does not accept a longer list of trials. Ray's workers import this module, so it does not
import JAX.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.runs.reading import evaluations, read_log
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.sweeps.trial_run import STOPPED_EARLY, TrialRun, starts_again
from alexnet_jax.system.atomic_write import atomic_write

# Ray reads these when it is imported or starts: no usage statistics, no logs of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Ray lets its workers, and so the trials, yield to everything else on a machine.
os.environ.setdefault("RAY_worker_niceness", "0")
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
        f"--executor=ray needs Ray Tune ({error}): pip install -r requirements-sweep.txt, or the "
        'extra "alexnet-jax[sweeps]"'
    ) from error

# In the sweep's folder, while it runs.
_STOP_REQUEST = ".stop"  # A file that makes the trials save and end.
_FAILURES = ".failed"  # A folder with a file for each failed trial: [exit code, reason].
_TUNE = ".ray_tune"  # Tune's own folder.

_OBJECT_STORE_BYTES = 200 * 2**20  # It holds only a few numbers.
_RETRIES = 1  # Of a trial whose worker or machine is lost; it resumes from its checkpoint.
_SECONDS_BETWEEN_LOOKS = 0.25
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
    """Run the trials, with `cpus` and `gpus` each; one that fails does not stop the others.

    ASHA first compares a trial when it has taken the fraction `grace` of its steps, and then each
    time it has taken `reduction_factor` times more. One of `reduction_factor` trials continues. It
    compares with the trials that have `ended` before, too. `gpus` is None for one if there are any.

    Raises:
        MachineError: Ray does not start.
        Preempted: SIGTERM or Ctrl-C came; the running trials have saved and ended.
    """
    from alexnet_jax.training.preemption import PreemptionGuard  # Imports JAX.

    scheduler = _make_scheduler(ended, grace, reduction_factor)
    named = {trial.name: trial for trial in trials}
    _remove_files(root)
    (root / _FAILURES).mkdir()
    try:
        _start_ray()
        if gpus is None:
            gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        trainable = tune.with_parameters(_train, trials=named, folder=Path.cwd(), root=root)
        with PreemptionGuard() as stop:  # After Ray's start, which sets signal handlers of its own.
            tune.Tuner(
                tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
                param_space={"name": tune.grid_search(list(named))},
                tune_config=tune.TuneConfig(scheduler=scheduler),
                run_config=tune.RunConfig(
                    name=_TUNE,
                    storage_path=str(root.absolute()),
                    callbacks=[_Watcher(named, root, reporter, lambda: stop.received)],
                    failure_config=tune.FailureConfig(max_failures=_RETRIES),
                    verbose=0,
                ),
            ).fit()
            stop.raise_if_preempted()
    finally:
        ray.shutdown()
        _remove_files(root)


def _make_scheduler(
    ended: Sequence[TrialRun], grace: float, reduction_factor: float
) -> ASHAScheduler:
    """Return ASHA with the evaluations of the trials that have ended."""
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
        for line in evaluations(read_log(trial.workdir), "center"):
            scheduler.on_trial_result(None, known, _metrics(trial, line))
    return scheduler


def _start_ray() -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start Ray on this machine alone."""
    alone = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    cluster = {} if "RAY_ADDRESS" in os.environ else {"address": "local", **alone}
    try:
        ray.init(log_to_driver=False, logging_level="error", **cluster)
    except Exception as error:  # Ray raises a plain one after its time limit.
        again = "give the same command again when this machine is less busy"
        way_out = again if cluster else "check RAY_ADDRESS with `ray status`"
        raise MachineError(f"Ray does not start ({error}): {way_out}") from error


def _remove_files(root: Path) -> None:
    (root / _STOP_REQUEST).unlink(missing_ok=True)
    for folder in (_FAILURES, _TUNE):
        shutil.rmtree(root / folder, ignore_errors=True)


@dataclass(eq=False)
class _Watcher(tune.Callback):
    """Reports the starts and ends of Tune's trials, and ends Tune's loop after a stop signal."""

    trials: Mapping[str, TrialRun]
    root: Path
    reporter: Reporter
    stopping: Callable[[], bool]
    deadline: float | None = None

    def on_step_begin(self, trials: Sequence[RayTrial], **info: Any) -> None:
        if not self.stopping():
            return
        running = [trial for trial in trials if trial.status == RayTrial.RUNNING]
        if self.deadline is None:
            self.deadline = time.monotonic() + _SECONDS_TO_SAVE
            (self.root / _STOP_REQUEST).touch()
            self.reporter.stopping(len(running))
        if not running or time.monotonic() > self.deadline:
            signal.raise_signal(signal.SIGUSR1)  # Ends Tune's loop.

    def on_trial_start(self, trial: RayTrial, **info: Any) -> None:
        if not self.stopping():
            self.reporter.started(self.trials[trial.config["name"]])

    def on_trial_complete(self, trial: RayTrial, **info: Any) -> None:
        ended = self.trials[trial.config["name"]]
        failure = self.root / _FAILURES / ended.name
        if ended.result() is not None:
            self.reporter.finished(ended)
        elif self.stopping():
            return
        elif failure.exists():
            self.reporter.failed(ended, *json.loads(failure.read_text()))
        else:
            step, top1_error = trial.last_result["step"], trial.last_result["top1_error"]
            text = json.dumps({"step": step, "center": {"top1_error": top1_error}})
            atomic_write(ended.workdir / STOPPED_EARLY, text + "\n")
            self.reporter.stopped_early(ended, step, top1_error)

    def on_trial_error(self, trial: RayTrial, **info: Any) -> None:
        if not self.stopping():  # The signal may have ended the trial, too.
            error = trial.get_error()
            reason = " ".join(str(getattr(error, "cause", None) or error).split())
            self.reporter.failed(self.trials[trial.config["name"]], None, reason)


def _train(
    config: Mapping[str, str], trials: Mapping[str, TrialRun], folder: Path, root: Path
) -> None:
    """Train, in a worker, the trial that Tune's `config` names.

    `folder` is where the sweep was started. The paths of the trials and of the sweep's folder
    `root` may be relative to it.
    """
    os.chdir(folder)
    trial = trials[config["name"]]
    exit_codes: list[int] = []
    reported = 0
    while not exit_codes or starts_again(exit_codes):
        process = trial.start()
        try:
            while process.poll() is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                if (root / _STOP_REQUEST).exists():
                    process.terminate()
                    process.wait()
                    return
                # The last evaluation waits for result.json, because Tune may end the trial then.
                reported = _report(trial, reported, up_to=trial.steps - 1)
        finally:
            process.kill()  # When ASHA stops the trial, tune.report raises SystemExit.
            exit_codes.append(process.wait())
    code = exit_codes[-1]
    if code == 0:
        _report(trial, reported, up_to=trial.steps)
    else:
        # An exception would make Tune start the trial again, as if its worker were lost.
        atomic_write(root / _FAILURES / trial.name, json.dumps([code, trial.explain(code)]))


def _report(trial: TrialRun, reported: int, up_to: int) -> int:
    """Report the evaluations after step `reported` to Tune; return the step of the last one."""
    for line in evaluations(read_log(trial.workdir), "center"):
        if reported < line["step"] <= up_to:
            reported = line["step"]
            tune.report(_metrics(trial, line))
    return reported


def _metrics(trial: TrialRun, line: Mapping[str, Any]) -> dict[str, float]:
    step = line["step"]
    return {"step": step, "progress": step / trial.steps, "top1_error": line["top1_error"]}
