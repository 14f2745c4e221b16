"""Everything that a run writes while it trains: its log, display, TensorBoard and sink."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.parallel.multihost import is_process_0
from alexnet_jax.training.display import RunDisplay
from alexnet_jax.training.experiment import Run
from alexnet_jax.training.logging import RunLog
from alexnet_jax.training.sink import Sink
from alexnet_jax.training.tensorboard import TensorBoard


@dataclass(frozen=True)
class Outputs:
    """What a run writes; `log` passes its lines to the others."""

    log: RunLog
    display: RunDisplay
    board: TensorBoard


@contextmanager
def open_outputs(run: Run, workdir: Path, step: int) -> Iterator[Outputs]:
    """Open the outputs of a run that starts or resumes after `step` completed steps."""
    config = run.experiment.config
    values = flatten(config.to_dict())
    compared = [key for key in values if not SCHEMA[key].free_on_resume]
    with ExitStack() as stack:
        log = stack.enter_context(RunLog(workdir, step))
        total, batch_size = run.experiment.durations.total, run.training.batch_size
        display = RunDisplay(step, total, batch_size, log.lines)
        board = stack.enter_context(
            TensorBoard(workdir, step, values, compared, run.facts.class_names)
        )
        log.observers += [display, board]
        if config.log.sink is not None and is_process_0():
            log.observers.append(stack.enter_context(Sink(config.log.sink, workdir, values)))
        yield Outputs(log, display, board)
