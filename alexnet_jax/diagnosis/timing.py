"""Timing of calls and of iterators, and the results that stages report."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import Any, cast


@dataclass(frozen=True)
class Speed:
    """The throughput of a stage."""

    images_per_second: float
    seconds: float  # Of one batch.
    repetitions: int  # Batches timed.
    bytes_per_second: float | None = None  # For stages that move bytes.


@dataclass(frozen=True)
class Skipped:
    """A stage that was not measured, and why."""

    reason: str


Outcome = Speed | Skipped


def time_calls(call: Callable[[], object], seconds: float) -> tuple[float, int]:
    """Call repeatedly for `seconds`, at least once; return the median time and the call count."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times), len(times)


def time_results(
    results: Iterator[Any], seconds: float, count: Callable[[Any], int]
) -> tuple[int, int, float]:
    """Take results for `seconds` or until they end, then close the iterator and stop its threads.

    Returns:
        The number of results, the sum of their counts, and the seconds until the last one.
    """
    number, total, elapsed = 0, 0, 0.0
    start = time.perf_counter()
    with closing(cast(Any, results)):
        for result in results:
            number, total = number + 1, total + count(result)
            elapsed = time.perf_counter() - start
            if elapsed > seconds:
                break
    return number, total, elapsed
