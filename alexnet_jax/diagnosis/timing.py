"""Measuring within a budget of time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Speed:
    """How fast images pass a stage.

    Attributes:
        images_per_second: the result.
        seconds: how long a batch takes at that speed.
        repetitions: batches, or what takes their place, that were timed.
        bytes_per_second: what was moved, where bytes are what counts.
        note: what a reader must know of it.
    """

    images_per_second: float
    seconds: float
    repetitions: int
    bytes_per_second: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Skipped:
    """A stage that was not measured, and why."""

    reason: str


Outcome = Speed | Skipped


class Budget:
    """A length of time, divided among measurements that may each use a share of it.

    Args:
        seconds: the whole.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.perf_counter()

    def share(self, fraction: float) -> float:
        """Return this fraction of the whole, in seconds."""
        return self.seconds * fraction

    def left(self) -> float:
        """Return the seconds left; below zero where the whole was too little."""
        return self.seconds - self.spent()

    def spent(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self._start


def time_calls(call: Callable[[], object], seconds: float) -> tuple[float, int]:
    """Call again and again for some seconds, once at least.

    Returns:
        The median time of a call, and how many there were.
    """
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times), len(times)
