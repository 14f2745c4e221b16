"""How far a long piece of work has got: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Tell the person on `stream` how much of `total` is done and how long the rest takes.

    Use it as a context manager and call `advance`; nothing is printed for work that is over
    within ten seconds when the stream is no terminal.
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: `what` is going on; `total` in `unit` ("B" for bytes, or a plural noun)."""
        self._what, self._total, self._unit = what, total, unit
        self._stream = stream or sys.stderr
        self._clock = clock
        self._done = 0
        self._start = self._last_line = clock()
        self._bar: tqdm | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._bar = tqdm(
                total=self._total,
                desc=self._what,
                unit=self._unit if self._unit == "B" else f" {self._unit}",
                unit_scale=self._unit == "B",
                dynamic_ncols=True,
                leave=False,
                file=self._stream,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, amount: int) -> None:
        """Count `amount` more as done."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(amount)
            return
        now = self._clock()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(self._line(now - self._start), file=self._stream, flush=True)

    def _line(self, seconds: float) -> str:
        share = self._done / self._total if self._total else 1.0
        left = seconds / share - seconds if share else float("inf")
        if self._unit == "B":
            amounts = f"{self._done / 1e9:,.2f} of {self._total / 1e9:,.2f} GB"
        else:
            amounts = f"{self._done:,} of {self._total:,} {self._unit}"
        return f"{self._what}: {amounts} ({share:.0%}), {_duration(left)} left"


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "unknown time"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
