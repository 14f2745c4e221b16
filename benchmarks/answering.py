"""The contenders' side of `benchmarks.step`: answer commands on stdin with JSON lines on stdout."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any


def answer(commands: dict[str, Callable[..., dict[str, Any]]], start: dict[str, Any]) -> None:
    """Print `start`, then an answer a line: "train 3" calls commands["train"]("3").

    What goes wrong is answered as {"error": …}, so that the other contenders can go on.
    """
    print(json.dumps(start), flush=True)
    for line in sys.stdin:
        name, *arguments = line.split()
        try:
            result = commands[name](*arguments)
        except Exception as error:  # noqa: BLE001 Reported to the process that asked.
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


def time_calls(call: Callable[[], Any], count: int) -> dict[str, float]:
    """Return the median seconds of `count` calls after one that is not timed; each waits.

    The first after a pause was seen to take half as long again, as if memory that this process
    had freed were slow to come back.
    """
    call()
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(seconds)}
