"""The training loop: batch, step, log, evaluate, save, stop when asked."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from alexnet_jax.models.table import compare_crop
from alexnet_jax.parallel.multihost import broadcast_from_process_0
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import compile_and_tidy, wait_on_cpus
from alexnet_jax.training.assembly import Run, assemble
from alexnet_jax.training.checkpoint_choice import best_error, unrecorded
from alexnet_jax.training.checkpoints import Checkpoints
from alexnet_jax.training.divergence import DivergedError, confirmed_step
from alexnet_jax.training.logging import RunLog
from alexnet_jax.training.metric_window import MetricWindow, steps_in_flight, stuck_advice
from alexnet_jax.training.preemption import Preempted, PreemptionGuard
from alexnet_jax.training.profiling import ProfiledSteps, Profiler, name_step
from alexnet_jax.training.recipe import resolve_config
from alexnet_jax.training.state import TrainState, is_finite, parameters_sha256
from alexnet_jax.training.step import lower_step
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
    """Train the network that `config` describes, or go on where `workdir` stopped, and test it.

    Args:
        config: see configs/imagenet.py.
        workdir: where everything of the run is written.
        ignore_config: go on even if the workdir was made with a config that differs.
        profiled: the steps to trace.

    Returns:
        What is written to `result.json`.

    Raises:
        UserError: a mistake in the config or the data, or a disk that is full.
        Preempted: SIGTERM or Ctrl-C came; the state has been saved if it took a step.
    """
    config = resolve_config(config)
    run = assemble(config, workdir)
    if not ignore_config:
        broadcast_from_process_0(partial(check_same_run, workdir, config))
        check_same_data(workdir, run.data_changes)
    result = broadcast_from_process_0(partial(read_result, workdir, run.durations.total))
    if result is not None:
        return result
    broadcast_from_process_0(partial(make_workdir, workdir))
    with full_disk_reported(workdir, "the run's files"), closing(workdir_lock(workdir)) as lock:
        lock.check_visible(broadcast_from_process_0(lock.acquire))
        with PreemptionGuard(steps_in_flight()) as stop, Checkpoints(workdir) as checkpoints:
            state, step = _first_state(run, checkpoints)
            if not step and config.train.init_from and not checkpoints.steps():
                checkpoints.save(state)  # From here on the run needs the other workdir no more.
            broadcast_from_process_0(partial(describe_run, workdir, config, run, step))
            if profiled is not None:
                profiled.check(step, run.durations.total)
            with (
                RunLog(workdir, step, run.durations.total) as log,
                Profiler(profiled, workdir) as profiler,
            ):
                _say_what_differs(config, run, log)
                _say_what_is_lost(log, checkpoints)
                training = _Training(run, lock, checkpoints, log, stop, profiler)
                state = training.run(state, step)
                result = _summarize(run, state, log)
        lock.check_still_mine()
        return broadcast_from_process_0(partial(write_result, workdir, result))


def _say_what_differs(config: ConfigDict, run: Run, log: RunLog) -> None:
    """Note what a name or a workdir would let one expect otherwise: network and data."""
    note = compare_crop(config.model.name, run.network.model, config.data.crop_size)
    if note:
        log.say(f"note: {note}")
    if run.data_changes:
        log.say(
            "note: the data are not those of the run's first step "
            f"({'; '.join(run.data_changes)}); it goes on with their images and colours, its own "
            "preprocessing and class names"
        )


def _say_what_is_lost(log: RunLog, checkpoints: Checkpoints) -> None:
    """Note which checkpoints stay because a log that was lost may have called one the best."""
    steps = unrecorded(log.lines, checkpoints.steps())
    if steps:
        log.say(
            f"note: metrics.jsonl tells nothing of the checkpoints {', '.join(map(str, steps))}: "
            "they are kept, as one of them may be the best"
        )


def _first_state(run: Run, checkpoints: Checkpoints) -> tuple[TrainState, int]:
    """Return the state to go on from and its completed steps.

    A fresh one is not waited for: the devices draw it while the host prepares the first step.
    """
    restored = checkpoints.restore(run.network.abstract_state)
    return (run.create_state(), 0) if restored is None else (restored, int(restored.step))


class _Training:
    """A run on its way: its parts, and where it keeps its records."""

    def __init__(
        self,
        run: Run,
        lock: FolderLock,
        checkpoints: Checkpoints,
        log: RunLog,
        stop: PreemptionGuard,
        profiler: Profiler,
    ) -> None:
        self._run = run
        self._lock = lock
        self._checkpoints = checkpoints
        self._log = log
        self._stop = stop
        self._profiler = profiler
        self._window = MetricWindow(run.training.batch_size)
        self._start = time.perf_counter() - _seconds_so_far(log)

    def run(self, state: TrainState, step: int) -> TrainState:
        """Take `state`, of `step` completed steps, to the last step.

        Raises:
            UserError: the run diverged; the message says how to go on.
        """
        try:
            return self._train(state, step)
        except DivergedError as error:
            raise UserError(f"{error}. {self._leave_diverged(error)}") from error

    def _train(self, state: TrainState, step: int) -> TrainState:
        first = step
        lengths = self._run.durations
        batches = prefetch_to_device(self._run.training, step, self._run.threads, self._run.mesh)
        try:
            if step and lengths.is_due(step, lengths.evaluate_every):
                state = self._test(step, state)
            if step == lengths.total:
                return state
            self._profiler.reach(step, state)
            train_step, batch = self._compile_and_read(batches)
            self._window.restart_clock()
            while batch is not None:
                # What a step needs is on the devices: nothing is sent unseen.
                with jax.transfer_guard("disallow"):
                    with name_step(step):
                        state, metrics = train_step(state, batch)
                    batch = self._window.add(metrics, batches)
                step += 1
                self._profiler.reach(step, state)
                self._log.advance(step)
                state = self._record(step, state)
                self._stop.raise_if_preempted()
        except Preempted as preemption:
            self._save(step, state)
            preemption.saved = step > first
            raise
        return state

    def _compile_and_read(
        self, batches: Iterator[dict[str, jax.Array]]
    ) -> tuple[jax.stages.Compiled, dict[str, jax.Array] | None]:
        """Compile the step, the only one of the run, while the first batch is read."""
        run, training = self._run, self._run.training
        with ThreadPoolExecutor(1) as reader:
            lowered = lower_step(
                run.train_step,
                run.network.abstract_state,
                training.batch_size,
                training.pixels.image_size,
                run.mesh,
            )
            # Not earlier: reading and tracing would wait for each other, both want Python's lock.
            first = reader.submit(next, batches, None)
            return compile_and_tidy(lowered), first.result()

    def _record(self, step: int, state: TrainState) -> TrainState:
        """Log, test and save what is due after `step` completed steps."""
        lengths = self._run.durations
        test_due = lengths.is_due(step, lengths.evaluate_every)
        save_due = test_due or lengths.is_due(step, lengths.save_every)
        if save_due or lengths.is_due(step, lengths.log_every):
            self._log_window(step)
        if test_due:
            state = self._test(step, state)
        if save_due:
            self._save(step, state)
            self._window.restart_clock()
        return state

    def _test(self, step: int, state: TrainState) -> TrainState:
        """Test, and let the state remember the error."""
        return self._run.update_plateau(state, self._evaluate(step, state))

    def _log_window(self, step: int) -> None:
        lengths, steps = self._run.durations, len(self._window)
        values = self._window.close(step, float(self._run.schedule(step - 1)))
        values["epoch"] = step / lengths.per_epoch
        values["seconds"] = time.perf_counter() - self._start
        self._lock.check_still_mine()
        images_left = (lengths.total - step) * self._run.training.batch_size
        self._log.train(step, values, images_left / values["images_per_second"])
        if lengths.stuck_after is not None and step - steps < lengths.stuck_after <= step:
            self._warn_if_stuck(step, values["loss"])

    def _warn_if_stuck(self, step: int, loss: float) -> None:
        advice = stuck_advice(loss, self._run.network.model.num_classes)
        if advice:
            self._log.say(f"warning: after {step} steps {advice}")

    def _evaluate(self, step: int, state: TrainState) -> float:
        """Test, unless the log has it, on the centre crop, at the end on ten; return its error."""
        views = "ten_crop" if step >= self._run.durations.total else "center"
        logged = self._log.scores(step, "center")
        if logged is not None and self._log.scores(step, views) is not None:
            return logged["top1_error"]
        validation = self._run.validation
        try:
            scores = score(
                [partial(self._run.network.predict, state.variables)],
                self._stop.interrupt(
                    prefetch_to_device(validation, 0, self._run.threads, self._run.mesh)
                ),
                validation.count,
                views,
                self._run.mesh,
                ["the network"],
            )
        except NotFiniteError as error:
            raise DivergedError(f"after step {step}, at {self._rate(step)}, {error}") from error
        self._lock.check_still_mine()
        for kind, values in scores.items():
            self._log.evaluation(step, kind, values)
        return scores["center"]["top1_error"]

    def _save(self, step: int, state: TrainState) -> None:
        saved = self._checkpoints.steps()
        if step in saved:
            return
        if len(self._window):
            self._log_window(step)
        if not jax.device_get(wait_on_cpus(is_finite(state))):
            raise DivergedError(
                f"the parameters after step {step} are not finite, at {self._rate(step)}"
            )
        best = best_error(self._log.lines, saved)
        self._lock.check_still_mine()
        worth = [best[0] if best else None, self._confirmed(saved)]
        keep = [other for other in worth if other is not None]
        self._checkpoints.save(state, keep + unrecorded(self._log.lines, saved))

    def _confirmed(self, saved: list[int], losses: Mapping[int, float] | None = None) -> int | None:
        classes = self._run.network.model.num_classes
        return confirmed_step(self._log.lines, saved, classes, losses)

    def _leave_diverged(self, error: DivergedError) -> str:
        """Set the checkpoints aside that are not known to be good; say how the run can go on."""
        saved = self._checkpoints.steps()
        good = self._confirmed(saved, error.losses)
        if good is None:
            return (
                "No checkpoint is known to be good: lower --config.schedule.learning_rate (to a "
                "third, say) and start in a new --workdir"
            )
        later = [step for step in saved if step > good]
        if later:
            self._lock.check_still_mine()
            self._checkpoints.set_aside(later, "diverged_checkpoints")
        moved = f" (moved to diverged_checkpoints: {', '.join(map(str, later))})" if later else ""
        return (
            f"Checkpoint {good} is known to be good{moved}. To go on from it, run the same command "
            "with --resume=ignore_config and a lower --config.schedule.learning_rate, a third, say"
        )

    def _rate(self, step: int) -> str:
        rates = [line["learning_rate"] for line in self._log.lines if line["kind"] == "train"]
        rate = rates[-1] if rates else float(self._run.schedule(step - 1))
        return f"learning rate {rate:g}"


def _seconds_so_far(log: RunLog) -> float:
    return max((line.get("seconds", 0.0) for line in log.lines), default=0.0)


def _summarize(run: Run, state: TrainState, log: RunLog) -> dict[str, Any]:
    step = int(state.step)
    speeds = [line["images_per_second"] for line in log.lines if line["kind"] == "train"]
    return {
        "step": step,
        "seconds": _seconds_so_far(log),
        # None where somebody removed the log of a run that only had its test to do.
        "images_per_second": median(speeds) if speeds else None,
        "parameters_sha256": parameters_sha256(state.params),
        "center": log.scores(step, "center"),
        "ten_crop": log.scores(step, "ten_crop"),
    }
