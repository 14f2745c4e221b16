"""Metrics and throughput of the training steps between two log lines."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.runtime import wait_on_cpus

_Batch = TypeVar("_Batch")


class DivergedError(UserError):
    """A number of a run is not finite.

    Args:
        message: Text that names the number, the step and the learning rate.
        losses: Finite losses that the log does not have, by step.
    """

    def __init__(self, message: str, losses: Mapping[int, float] | None = None) -> None:
        super().__init__(message)
        self.losses = losses or {}


def steps_in_flight() -> int:
    """Return how many steps the host may queue ahead of the devices.

    Each keeps a batch alive, and two are enough to hide the host. None on CPUs, where queueing
    gains nothing and can deadlock: several devices of one process share its threads, and a step
    in a collective would wait for another that finds no thread.
    """
    return 0 if jax.default_backend() == "cpu" else 2


class MetricWindow:
    """Gathers metrics on the devices and fetches them all at once for a log line.

    Its clock runs from `restart_clock` or the last `close`. Call `restart_clock` before the first
    step, to exclude compilation and reading the first batch.

    Args:
        batch_size: images per step.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._ahead = steps_in_flight()
        self._metrics: list[dict[str, jax.Array]] = []
        # Of each wait for a batch: its start and end, and the end of the step before it.
        self._waits: list[tuple[float, float, Future[float]]] = []
        # Blocks until each step has ended, to note the time, so that the loop need not.
        self._watcher = ThreadPoolExecutor(1, "step-ends")
        self._start = time.perf_counter()

    def __len__(self) -> int:
        return len(self._metrics)

    def add(self, metrics: dict[str, jax.Array], batches: Iterator[_Batch]) -> _Batch | None:
        """Add the metrics of a step that was just started; fetch the next batch while it runs.

        Blocks while the devices are more than `steps_in_flight` behind.

        Returns:
            The next batch; None at the end of `batches`.
        """
        ended = self._watcher.submit(_time_of_end, metrics)
        if not self._ahead:
            wait_on_cpus(metrics)  # The next batch may come by a program between devices, too.
        asked = time.perf_counter()
        batch = next(batches, None)
        self._waits.append((asked, time.perf_counter(), ended))
        self._metrics.append(metrics)
        jax.block_until_ready(self._metrics[: len(self._metrics) - self._ahead])
        return batch

    def restart_clock(self) -> None:
        """Exclude the time since the last `close` (an evaluation, a save) from the throughput."""
        self._start = time.perf_counter()

    def close(self, step: int) -> dict[str, float]:
        """Return the window's mean metrics and its throughput, and start the next window.

        Args:
            step: completed steps.

        Raises:
            DivergedError: a loss is not finite.
        """
        fetched = jax.device_get(self._metrics)
        seconds = time.perf_counter() - self._start
        columns = {
            name: np.array([row[name] for row in fetched], np.float64) for name in fetched[0]
        }
        learning_rate = float(fetched[-1]["learning_rate"])
        losses = columns["loss"]
        broken = np.flatnonzero(~np.isfinite(losses))
        if broken.size:
            first, start = int(broken[0]), step - len(losses) + 1
            raise DivergedError(
                f"the loss of step {start + first} is {losses[first]} at learning rate "
                f"{learning_rate:g}",
                {start + number: float(loss) for number, loss in enumerate(losses[:first])},
            )
        # The part of each wait in which the devices had no step left to run.
        idle = [max(0.0, end - max(start, ended.result())) for start, end, ended in self._waits]
        values = {name: float(column.mean()) for name, column in columns.items()} | {
            "learning_rate": learning_rate,
            "images_per_second": len(fetched) * self._batch_size / seconds,
            "data_wait_fraction": sum(idle) / seconds,
        }
        self._metrics, self._waits = [], []
        self.restart_clock()
        return values


def _time_of_end(metrics: dict[str, jax.Array]) -> float:
    jax.block_until_ready(metrics)
    return time.perf_counter()
