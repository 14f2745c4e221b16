"""The training loop: batch, step, log, evaluate, save, stop when preempted."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
from ml_collections import ConfigDict

from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.evaluation.scoring import score
from alexnet_jax.folder_lock import FolderLock
from alexnet_jax.parallel.multihost import broadcast_from_process_0
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import compile_and_tidy, wait_on_cpus
from alexnet_jax.progress import Progress, is_live, say
from alexnet_jax.training.checkpoint_choice import confirmed_step, unrecorded, worth_keeping
from alexnet_jax.training.checkpoints import Checkpoints
from alexnet_jax.training.experiment import Run, build_run
from alexnet_jax.training.logging import RunLog
from alexnet_jax.training.metric_window import (
    DivergedError,
    MetricWindow,
    steps_in_flight,
    stuck_advice,
)
from alexnet_jax.training.outputs import Outputs, open_outputs
from alexnet_jax.training.preemption import Preempted, PreemptionGuard
from alexnet_jax.training.profiling import ProfiledSteps, Profiler
from alexnet_jax.training.results import describe_finished
from alexnet_jax.training.sink import check_sink
from alexnet_jax.training.state import TrainState, is_finite, parameters_sha256
from alexnet_jax.training.step import lower_step
from alexnet_jax.training.summary import notes_on, summarize_run
from alexnet_jax.training.workdir import (
    check_same_data,
    check_same_run,
    describe_run,
    make_workdir,
    read_result,
    workdir_lock,
    write_result,
)


def train_and_evaluate(
    config: ConfigDict,
    workdir: Path,
    ignore_config: bool = False,
    profiled: ProfiledSteps | None = None,
) -> dict[str, Any]:
    """Train and evaluate the network that `config` describes; resume if `workdir` holds a run.

    Args:
        config: see docs/config.md.
        workdir: where all files of the run are written.
        ignore_config: resume even if the run started with another config.
        profiled: the steps to trace.

    Returns:
        The contents of `result.json`.

    Raises:
        UserError: a mistake in the config or the data, or a full disk.
        Preempted: SIGTERM or Ctrl-C was received; the state is saved if there are new steps.
    """
    run = build_run(config, workdir)
    config, total = run.experiment.config, run.experiment.durations.total
    if not ignore_config:
        broadcast_from_process_0(partial(check_same_run, workdir, config))
        check_same_data(workdir, run.data_changes)
    result = broadcast_from_process_0(partial(read_result, workdir, total))
    if result is not None:
        say(describe_finished(result, workdir, ["--profile"] if profiled else []))
        return result
    broadcast_from_process_0(partial(check_sink, config.log.sink))
    broadcast_from_process_0(partial(make_workdir, workdir))
    with full_disk_reported(workdir, "the run's files"), closing(workdir_lock(workdir)) as lock:
        lock.check_visible(broadcast_from_process_0(lock.acquire))
        with PreemptionGuard(steps_in_flight()) as guard, Checkpoints(workdir) as checkpoints:
            state = checkpoints.restore(run.experiment.network.abstract_state)
            step, resumed = 0 if state is None else int(state.step), state is not None
            if state is None:
                # It may still be in flight while the host prepares the first step.
                state = run.experiment.create_state()
            if not step and config.train.init_from and not checkpoints.steps():
                checkpoints.save(state)  # From now on the other run's workdir is not needed.
            broadcast_from_process_0(partial(describe_run, workdir, run, step))
            if profiled is not None:
                profiled.check(step, total)
            with (
                open_outputs(run, workdir, step) as outputs,
                Profiler(profiled, workdir) as profiler,
            ):
                start = f"resumes from checkpoint {step:,} of {workdir}" if resumed else None
                say(summarize_run(run, start))
                for note in notes_on(run, unrecorded(outputs.log.lines, checkpoints.steps())):
                    say(note)
                loop = _Loop(run, lock, checkpoints, outputs, guard, profiler)
                result = _summarize(loop.run(state, step), outputs.log)
        lock.check_still_mine()
        return broadcast_from_process_0(partial(write_result, workdir, result))


@dataclass
class _Loop:
    """A run in progress: its parts, and where it records its results."""

    parts: Run
    lock: FolderLock
    checkpoints: Checkpoints
    outputs: Outputs
    guard: PreemptionGuard
    profiler: Profiler

    def __post_init__(self) -> None:
        self.experiment = self.parts.experiment
        self.durations = self.experiment.durations
        self.log, self.display = self.outputs.log, self.outputs.display
        self.num_classes = self.experiment.network.model.num_classes
        self.window = MetricWindow(self.parts.training.batch_size)
        self.start = time.perf_counter() - _seconds_so_far(self.log)

    def run(self, state: TrainState, step: int) -> TrainState:
        """Train from `state`, after `step` completed steps, to the end of the run.

        Raises:
            UserError: the run diverged; the message says how to resume.
        """
        try:
            return self._train(state, step)
        except DivergedError as error:
            raise UserError(f"{error}. {self._set_diverged_aside(error)}") from error

    def _train(self, state: TrainState, step: int) -> TrainState:
        first, durations = step, self.durations
        batches = self._prefetch(self.parts.training, step)
        try:
            if step and durations.is_due(step, durations.evaluate_every):
                state = self._evaluate(step, state)
            if step == durations.total:
                return state
            self.profiler.reach(step, state)
            train_step, batch = self._compile_and_read(batches)
            self.window.restart_clock()
            with self.display:
                while batch is not None:
                    # All inputs of a step are on the devices: implicit transfers are errors.
                    with jax.transfer_guard("disallow"):
                        with jax.profiler.StepTraceAnnotation("train", step_num=step):
                            state, metrics = train_step(state, batch)
                        batch = self.window.add(metrics, batches)
                    step += 1
                    self.profiler.reach(step, state)
                    self.display.advance(step)
                    state = self._record(step, state)
                    self.guard.raise_if_preempted()
        except Preempted as preemption:
            self._save(step, state)
            preemption.saved = step > first
            raise
        return state

    def _prefetch(self, batches: Any, start: int) -> Iterator[dict[str, jax.Array]]:
        return prefetch_to_device(batches, start, self.parts.threads, self.experiment.mesh)

    def _compile_and_read(
        self, batches: Iterator[dict[str, jax.Array]]
    ) -> tuple[jax.stages.Compiled, dict[str, jax.Array] | None]:
        """Compile the training step, once per run, while the first batch is read."""
        experiment, training = self.experiment, self.parts.training
        if not is_live():
            say("compiling the step")
        with ThreadPoolExecutor(1) as reader, Progress("compiling the step", None):
            lowered = lower_step(
                experiment.train_step,
                experiment.network.abstract_state,
                training.batch_size,
                training.pixels.image_size,
                experiment.mesh,
            )
            # Not earlier: reading and tracing would compete for Python's lock.
            first = reader.submit(next, batches, None)
            return compile_and_tidy(lowered), first.result()

    def _record(self, step: int, state: TrainState) -> TrainState:
        """Log, evaluate and save what is due after `step` completed steps."""
        durations = self.durations
        evaluation_due = durations.is_due(step, durations.evaluate_every)
        save_due = evaluation_due or durations.is_due(step, durations.save_every)
        if save_due or durations.is_due(step, durations.log_every):
            self._log_window(step)
        if evaluation_due:
            state = self._evaluate(step, state)
        if save_due:
            self._save(step, state)
            self.window.restart_clock()
        return state

    def _log_window(self, step: int) -> None:
        durations, steps = self.durations, len(self.window)
        values = self.window.close(step)
        values["epoch"] = step / durations.per_epoch
        values["seconds"] = time.perf_counter() - self.start
        self.lock.check_still_mine()
        self.log.train(step, values)
        if durations.stuck_after is not None and step - steps < durations.stuck_after <= step:
            advice = stuck_advice(values["loss"], self.num_classes)
            if advice:
                say(f"warning: after {step} steps {advice}")

    def _evaluate(self, step: int, state: TrainState) -> TrainState:
        """Evaluate unless the log has the scores; return the state with its plateau updated.

        The last evaluation includes ten crops.
        """
        views = "ten_crop" if step >= self.durations.total else "center"
        center = self.log.scores(step, "center")
        if center is None or self.log.scores(step, views) is None:
            validation, predictor = self.parts.validation, self.experiment.network.predictor(state)
            batches = self.guard.interrupt(self._prefetch(validation, 0))
            try:
                scores = score(
                    [predictor],
                    self.outputs.board.watch(step, batches, predictor),
                    validation.count,
                    views,
                    self.experiment.mesh,
                    ["the network"],
                )
            except NotFiniteError as error:
                raise DivergedError(f"after step {step}, at {self._rate()}, {error}") from error
            self.lock.check_still_mine()
            for kind, values in scores.items():
                self.log.evaluation(step, kind, values)
            self.outputs.board.parameters(step, state.params)
            center = scores["center"]
        return self.experiment.update_plateau(state, center["top1_error"])

    def _save(self, step: int, state: TrainState) -> None:
        saved = self.checkpoints.steps()
        if step in saved:
            return
        if len(self.window):
            self._log_window(step)
        if not jax.device_get(wait_on_cpus(is_finite(state))):
            raise DivergedError(
                f"the parameters after step {step} are not finite, at {self._rate()}"
            )
        self.lock.check_still_mine()
        self.checkpoints.save(state, worth_keeping(self.log.lines, saved, self.num_classes))
        self.display.saved(step)

    def _set_diverged_aside(self, error: DivergedError) -> str:
        """Set aside the checkpoints that are not known to be good; return how to resume."""
        saved = self.checkpoints.steps()
        good = confirmed_step(self.log.lines, saved, self.num_classes, error.losses)
        if good is None:
            return (
                "No checkpoint is known to be good: lower --config.schedule.learning_rate (to a "
                "third, say) and start in a new --workdir"
            )
        later = [step for step in saved if step > good]
        moved = ""
        if later:
            self.lock.check_still_mine()
            self.checkpoints.set_aside(later, "diverged_checkpoints")
            moved = f" (moved to diverged_checkpoints: {', '.join(map(str, later))})"
        return (
            f"Checkpoint {good} is known to be good{moved}. To resume from it, run the same "
            "command with --resume=ignore_config and a lower --config.schedule.learning_rate, a "
            "third, say"
        )

    def _rate(self) -> str:
        rates = [line["learning_rate"] for line in self.log.lines if line["kind"] == "train"]
        return f"learning rate {rates[-1]:g}" if rates else "a learning rate that was not logged"


def _seconds_so_far(log: RunLog) -> float:
    return max((line.get("seconds", 0.0) for line in log.lines), default=0.0)


def _summarize(state: TrainState, log: RunLog) -> dict[str, Any]:
    step = int(state.step)
    speeds = [line["images_per_second"] for line in log.lines if line["kind"] == "train"]
    return {
        "step": step,
        "seconds": _seconds_so_far(log),
        # None if the log of a run that only had to be evaluated was removed.
        "images_per_second": median(speeds) if speeds else None,
        "parameters_sha256": parameters_sha256(state.params),
        "center": log.scores(step, "center"),
        "ten_crop": log.scores(step, "ten_crop"),
    }
