"""Running trials with Ray Tune, on one machine or many: ASHA gives up those that fall behind.

What has happened lies in the trials' folders and nowhere else. A sweep that is started again is a
new one for Ray, with the trials that are missing, and its scheduler is told the tests of the
others. Ray's own restoring forgets those, and cannot take a list of trials that has grown.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.planned_trial import PlannedTrial, evaluations
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.training.preemption import PreemptionGuard

# Ray reads these when it is imported: no reports to its makers, no logs of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Or it prints tables of its own at any verbosity.

try:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
except ImportError as error:
    raise UserError(
        f"--executor=ray needs Ray Tune ({error}): pip install -r requirements-sweep.txt"
    ) from error

from alexnet_jax.sweeps.ray_trial import Orders, metrics, train
from alexnet_jax.sweeps.ray_watcher import Watcher, trial_name

_OBJECT_STORE_BYTES = 200 * 2**20  # Nothing but a few numbers goes through it.
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
        Preempted: SIGTERM or Ctrl-C came; the trials that were running have saved and ended.
    """
    folder = Path.cwd()
    there = {trial.name: replace(trial, workdir=folder / trial.workdir) for trial in trials}
    orders = Orders(
        there, folder, stop_request=folder / root / ".stop", failures=folder / root / ".failed"
    )
    _forget(orders)
    orders.failures.mkdir()
    _connect()
    try:
        with PreemptionGuard() as stop:
            watcher = Watcher(trials, reporter, stop, orders.stop_request)
            _make_tuner(orders, _make_scheduler(settings, ended), settings, watcher).fit()
            stop.raise_if_preempted()
    finally:
        ray.shutdown()
        _forget(orders)
        shutil.rmtree(root / _TUNE_FOLDER, ignore_errors=True)  # Nothing that is read again.


def _forget(orders: Orders) -> None:
    orders.stop_request.unlink(missing_ok=True)
    shutil.rmtree(orders.failures, ignore_errors=True)


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
            scheduler.on_trial_result(None, known, metrics(trial, test))
    return scheduler


def _make_tuner(
    orders: Orders, scheduler: ASHAScheduler, settings: RaySettings, watcher: Watcher
) -> tune.Tuner:
    gpus = settings.gpus
    if gpus is None:
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    return tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train, orders=orders), {"cpu": settings.cpus, "gpu": gpus}
        ),
        param_space={"name": tune.grid_search(list(orders.trials))},
        tune_config=tune.TuneConfig(
            # ASHA has been told the metric already.
            scheduler=scheduler,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=tune.RunConfig(
            name=_TUNE_FOLDER,
            storage_path=str(orders.stop_request.parent),
            callbacks=[watcher],
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            verbose=0,
        ),
    )
