"""What a run records while it trains: log, display, TensorBoard, sink, profile, checkpoints."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import jax

from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.evaluation.scoring import Predictor
from alexnet_jax.monitoring.display import RunDisplay
from alexnet_jax.monitoring.profiling import ProfiledSteps, Profiler
from alexnet_jax.monitoring.sink import Sink
from alexnet_jax.monitoring.tensorboard import TensorBoard
from alexnet_jax.parallel.multihost import is_process_0
from alexnet_jax.runs.checkpoint_choice import confirmed_step, worth_keeping
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.runs.logging import RunLog
from alexnet_jax.runs.reading import DIVERGED, evaluations
from alexnet_jax.runs.run import Run
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.folder_lock import FolderLock
from alexnet_jax.system.progress import say
from alexnet_jax.training.metric_window import DivergedError
from alexnet_jax.training.state import TrainState


class RunRecord:
    """Records a run in its workdir, as a `training.loop.Record`; a context that closes its files.

    Args:
        run: Run to record.
        workdir: Folder of the run's files.
        step: Completed steps, from which it starts or resumes.
        lock: Lock on `workdir`, which is checked before each write.
        checkpoints: Checkpoints of `workdir`.
        profiled: Steps to trace.

    Attributes:
        log: Log in metrics.jsonl; it passes its lines to the display, TensorBoard and the sink.
    """

    def __init__(
        self,
        run: Run,
        workdir: Path,
        step: int,
        lock: FolderLock,
        checkpoints: Checkpoints,
        profiled: ProfiledSteps | None = None,
    ) -> None:
        config, self._durations = run.experiment.config, run.experiment.durations
        values = flatten(config.to_dict())
        compared = [key for key in values if not SCHEMA[key].free_on_resume]
        self._workdir, self._num_classes = workdir, config.model.num_classes
        self._lock, self._checkpoints, self._logged = lock, checkpoints, step
        with ExitStack() as stack:
            self.log = stack.enter_context(RunLog(workdir, step))
            known = evaluations(self.log.lines, "center")
            self._display = RunDisplay(step, self._durations.total, run.training.batch_size, known)
            self._board = stack.enter_context(
                TensorBoard(workdir, step, values, compared, run.facts.class_names)
            )
            self.log.observers += [self._display, self._board]
            if config.log.sink is not None and is_process_0():
                sink = Sink(config.log.sink, workdir, values)
                self.log.observers.append(stack.enter_context(sink))
            self._profiler = stack.enter_context(Profiler(profiled, workdir))
            self._open = stack.pop_all()
        self._shows = False
        self._start = time.perf_counter() - self.seconds()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def seconds(self) -> float:
        """Return the duration of the run up to its last log line."""
        return max((line.get("seconds", 0.0) for line in self.log.lines), default=0.0)

    def reach(self, step: int, state: TrainState) -> None:
        """Note that `step` steps are completed; the first call starts the display."""
        if not self._shows:
            self._shows = True
            self._open.enter_context(self._display)
        self._profiler.reach(step, state)
        self._display.advance(step)

    def train(self, step: int, values: dict[str, float]) -> None:
        """Record a window of training steps; warn if the network has learned nothing."""
        values["seconds"] = time.perf_counter() - self._start
        self._lock.check_still_mine()
        self.log.train(step, values)
        after = self._durations.stuck_after
        if after is not None and self._logged < after <= step:
            advice = stuck_advice(values["loss"], self._num_classes)
            if advice:
                say(f"warning: after {step} steps {advice}")
        self._logged = step

    def scores(self, step: int, views: str) -> dict[str, Any] | None:
        """Return the scores of `views` after `step` completed steps, if the log has them."""
        return self.log.scores(step, views)

    def watch(
        self, step: int, batches: Iterable[dict[str, jax.Array]], predictor: Predictor
    ) -> Iterator[dict[str, jax.Array]]:
        """Yield the batches of an evaluation; draw predictions for the first one's images."""
        return self._board.watch(step, batches, predictor)

    def evaluation(
        self, step: int, scores: Mapping[str, Mapping[str, float | int]], state: TrainState
    ) -> None:
        """Record an evaluation, and the parameters in TensorBoard."""
        self._lock.check_still_mine()
        for views, values in scores.items():
            self.log.evaluation(step, views, values)
        self._board.parameters(step, state.params)

    def has_saved(self, step: int) -> bool:
        """Return whether there is a checkpoint of `step`."""
        return step in self._checkpoints.steps()

    def save(self, step: int, state: TrainState) -> None:
        """Save a checkpoint, and keep the earlier ones that are worth it."""
        self._lock.check_still_mine()
        saved = self._checkpoints.steps()
        self._checkpoints.save(state, worth_keeping(self.log.lines, saved, self._num_classes))
        self._display.saved(step)

    def set_diverged_aside(self, error: DivergedError) -> str:
        """Set aside the checkpoints that are not known to be good; return how to resume."""
        if is_process_0():
            self._lock.check_still_mine()
            atomic_write(self._workdir / DIVERGED, json.dumps({"reason": str(error)}) + "\n")
        saved = self._checkpoints.steps()
        good = confirmed_step(self.log.lines, saved, self._num_classes, error.losses)
        rates = [line["learning_rate"] for line in self.log.lines if line["kind"] == "train"]
        rate = f" (last logged: {rates[-1]:g})" if rates else ""
        if good is None:
            return (
                f"No checkpoint is known to be good: lower --config.schedule.learning_rate{rate}, "
                "to a third, say, and start in a new --workdir"
            )
        later = [step for step in saved if step > good]
        moved = ""
        if later:
            self._lock.check_still_mine()
            self._checkpoints.set_aside(later, "diverged_checkpoints")
            moved = f" (moved to diverged_checkpoints: {', '.join(map(str, later))})"
        return (
            f"Checkpoint {good} is known to be good{moved}. To resume from it, run the same "
            "command with --resume=ignore_config and a lower --config.schedule.learning_rate"
            f"{rate}, a third, say"
        )


def stuck_advice(loss: float, num_classes: int) -> str | None:
    """Return advice if `loss` shows that the network has learned nothing; else None."""
    chance = math.log(num_classes)
    if loss < 0.99 * chance:
        return None
    return (
        f"the loss is {loss:.3f}, still that of guessing (ln {num_classes} = {chance:.3f}). What "
        "helps AlexNet start: inputs on the 0-255 scale (not divided by a deviation), initial "
        "deviation 0.03 in conv3 to conv5 (model 'original'), biases at twice the rate, dropout "
        "not inverted. See docs/training.md."
    )
