"""The training loop: batch, step, log, evaluate, save, stop when preempted."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from alexnet_jax.data.stream import Batches, EvaluationBatches, TrainingBatches
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.evaluation.scoring import Predictor, evaluate_split
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import compile_and_tidy, wait_on_cpus
from alexnet_jax.system.progress import announced
from alexnet_jax.training.experiment import Experiment
from alexnet_jax.training.metric_window import DivergedError, MetricWindow
from alexnet_jax.training.preemption import Preempted, PreemptionGuard
from alexnet_jax.training.state import TrainState, is_finite

_DeviceBatch = dict[str, jax.Array]


class Record(Protocol):
    """Where a loop keeps its numbers and states: `runs.record.RunRecord` writes a workdir."""

    def reach(self, step: int, state: TrainState) -> None:
        """Note that `step` steps are completed; `state` may still be in flight."""

    def train(self, step: int, values: dict[str, float]) -> None:
        """Record the means of a window of training steps that ended with `step` completed."""

    def scores(self, step: int, views: str) -> dict[str, Any] | None:
        """Return the scores of `views` after `step` completed steps, if they are recorded."""

    def watch(
        self, step: int, batches: Iterable[_DeviceBatch], predictor: Predictor
    ) -> Iterator[_DeviceBatch]:
        """Yield `batches` unchanged; the record may inspect them, for example to draw some."""

    def evaluation(
        self, step: int, scores: Mapping[str, Mapping[str, float | int]], state: TrainState
    ) -> None:
        """Record the scores, by kind of view, of an evaluation after `step` completed steps."""

    def has_saved(self, step: int) -> bool:
        """Return whether the state after `step` steps is saved."""

    def save(self, step: int, state: TrainState) -> None:
        """Save the state after `step` steps, which is finite."""


@dataclass
class Loop:
    """A run in progress.

    Attributes:
        experiment: Network, its step and its durations.
        training, validation: Batches of the two splits.
        threads: Number of threads that prepare batches.
        record: Where the numbers and states are kept.
        guard: Guard that records the signals that stop the run.
    """

    experiment: Experiment
    training: TrainingBatches
    validation: EvaluationBatches
    threads: int
    record: Record
    guard: PreemptionGuard

    def __post_init__(self) -> None:
        self.durations = self.experiment.durations
        self.window = MetricWindow(self.training.batch_size)

    def run(self, state: TrainState, step: int) -> TrainState:
        """Train from `state`, after `step` completed steps, to the end of the run.

        Raises:
            DivergedError: a number is not finite.
            Preempted: a signal was received; the state is saved if there are new steps.
        """
        first, durations = step, self.durations
        batches = self._prefetch(self.training, step)
        try:
            if step and durations.is_due(step, durations.evaluate_every):
                state = self._evaluate(step, state)
            if step == durations.total:
                return state
            train_step, batch = self._compile_and_read(batches)
            self.record.reach(step, state)
            self.window.restart_clock()
            while batch is not None:
                # All inputs of a step are on the devices: implicit transfers are errors.
                with jax.transfer_guard("disallow"):
                    with jax.profiler.StepTraceAnnotation("train", step_num=step):
                        state, metrics = train_step(state, batch)
                    batch = self.window.add(metrics, batches)
                step += 1
                self.record.reach(step, state)
                state = self._after(step, state)
                self.guard.raise_if_preempted()
        except Preempted as preemption:
            self._save(step, state)
            preemption.saved = step > first
            raise
        return state

    def _prefetch(self, batches: Batches, start: int) -> Iterator[_DeviceBatch]:
        return prefetch_to_device(batches, start, self.threads, self.experiment.mesh)

    def _compile_and_read(
        self, batches: Iterator[_DeviceBatch]
    ) -> tuple[jax.stages.Compiled, _DeviceBatch | None]:
        """Compile the training step, once per run, while the first batch is read."""
        kind = f"{self.experiment.config.model.name} on {jax.devices()[0].device_kind}"
        folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as reader, announced("compiling the step", kind, folder):
            lowered = self.experiment.lower_step()
            # Not earlier: reading and tracing would compete for Python's lock.
            first = reader.submit(next, batches, None)
            return compile_and_tidy(lowered), first.result()

    def _after(self, step: int, state: TrainState) -> TrainState:
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
        values = self.window.close(step)
        self.record.train(step, values | {"epoch": step / self.durations.per_epoch})

    def _evaluate(self, step: int, state: TrainState) -> TrainState:
        """Evaluate unless the scores are recorded; return the state with its plateau updated.

        The last evaluation includes ten crops.
        """
        views = "ten_crop" if step >= self.durations.total else "center"
        center = self.record.scores(step, "center")
        if center is None or self.record.scores(step, views) is None:
            predictor = self.experiment.network.predictor(state)
            batches = self.guard.interrupt(self._prefetch(self.validation, 0))
            try:
                evaluated = evaluate_split(
                    [predictor],
                    self.record.watch(step, batches, predictor),
                    self.validation.count,
                    views,
                    self.experiment.mesh,
                    ["the network"],
                )
            except NotFiniteError as error:
                raise DivergedError(f"after step {step}, {error}") from error
            scores = {kind: each.scores for kind, each in evaluated.items()}
            self.record.evaluation(step, scores, state)
            center = scores["center"]
        return self.experiment.update_plateau(state, center["top1_error"])

    def _save(self, step: int, state: TrainState) -> None:
        if self.record.has_saved(step):
            return
        if len(self.window):
            self._log_window(step)
        if not jax.device_get(wait_on_cpus(is_finite(state))):
            raise DivergedError(f"the parameters after step {step} are not finite")
        self.record.save(step, state)
