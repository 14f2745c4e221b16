"""A whole run: build or resume it, train, evaluate, and write its result."""

from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError
from alexnet_jax.monitoring.profiling import ProfiledSteps
from alexnet_jax.monitoring.sink import check_sink
from alexnet_jax.parallel.multihost import broadcast_from_process_0
from alexnet_jax.runs.checkpoint_choice import unrecorded
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.runs.record import RunRecord
from alexnet_jax.runs.results import describe_finished, parameters_sha256
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.summary import notes_on, summarize_run
from alexnet_jax.runs.workdir import (
    check_same_data,
    check_same_run,
    describe_run,
    make_workdir,
    read_result,
    workdir_lock,
    write_result,
)
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.system.progress import say
from alexnet_jax.training.loop import Loop
from alexnet_jax.training.metric_window import DivergedError, steps_in_flight
from alexnet_jax.training.preemption import PreemptionGuard
from alexnet_jax.training.state import TrainState


def train_and_evaluate(
    config: ConfigDict,
    workdir: Path,
    ignore_config: bool = False,
    profiled: ProfiledSteps | None = None,
) -> dict[str, Any]:
    """Train and evaluate the network that `config` describes; resume if `workdir` holds a run.

    Args:
        config: Config of the run, see docs/config.md.
        workdir: Folder for all files of the run.
        ignore_config: Whether to resume even if the run started with another config.
        profiled: Steps to trace.

    Returns:
        The contents of `result.json`.

    Raises:
        UserError: a mistake in the config or the data, a full disk, or the run diverged.
        Preempted: SIGTERM or Ctrl-C was received; the state is saved if there are new steps.
    """
    run = build_run(config, workdir)
    experiment, total = run.experiment, run.experiment.durations.total
    if not ignore_config:
        broadcast_from_process_0(partial(check_same_run, workdir, experiment.config))
        check_same_data(workdir, run.data_changes)
    result = broadcast_from_process_0(partial(read_result, workdir, total))
    if result is not None:
        length = "train.epochs" if experiment.config.train.steps is None else "train.steps"
        say(describe_finished(result, workdir, length, ["--profile"] if profiled else []))
        return result
    broadcast_from_process_0(partial(check_sink, experiment.config.log.sink))
    broadcast_from_process_0(partial(make_workdir, workdir))
    with full_disk_reported(workdir, "the run's files"), closing(workdir_lock(workdir)) as lock:
        lock.check_visible(broadcast_from_process_0(lock.acquire))
        with PreemptionGuard(steps_in_flight()) as guard, Checkpoints(workdir) as checkpoints:
            state = checkpoints.restore(experiment.network.abstract_state)
            step, resumed = 0 if state is None else int(state.step), state is not None
            if state is None:
                # It may still be in flight while the host prepares the first step.
                state = experiment.create_state()
            if not step and experiment.config.train.init_from and not checkpoints.steps():
                checkpoints.save(state)  # From now on the other run's workdir is not needed.
            broadcast_from_process_0(partial(describe_run, workdir, run, step))
            if profiled is not None:
                profiled.check(step, total)
            with RunRecord(run, workdir, step, lock, checkpoints, profiled) as record:
                start = f"resumes from checkpoint {step:,} of {workdir}" if resumed else None
                say(summarize_run(run, start))
                for note in notes_on(run, unrecorded(record.log.lines, checkpoints.steps())):
                    say(note)
                loop = Loop(experiment, run.training, run.validation, run.threads, record, guard)
                try:
                    result = _summarize(loop.run(state, step), record)
                except DivergedError as error:
                    raise UserError(f"{error}. {record.set_diverged_aside(error)}") from error
        lock.check_still_mine()
        return broadcast_from_process_0(partial(write_result, workdir, result))


def _summarize(state: TrainState, record: RunRecord) -> dict[str, Any]:
    step = int(state.step)
    speeds = [line["images_per_second"] for line in record.log.lines if line["kind"] == "train"]
    return {
        "step": step,
        "seconds": record.seconds(),
        # None if the log of a run that only had to be evaluated was removed.
        "images_per_second": median(speeds) if speeds else None,
        "parameters_sha256": parameters_sha256(state.params),
        "center": record.scores(step, "center"),
        "ten_crop": record.scores(step, "ten_crop"),
    }
