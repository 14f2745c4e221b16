"""Progress of long work: a bar on a terminal, otherwise a line every ten seconds."""

import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows how much of the work is done and how long the rest takes.

    Use it as a context manager and call `advance`. The unit of `total` is "B" for bytes, or a
    plural noun. Where the stream is no terminal, work of less than ten seconds prints nothing.
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

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, amount: int) -> None:
        """Count `amount` more as done."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(amount)
        elif (now := self._clock()) - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(self._line(now - self._start), file=self._stream, flush=True)

    def _line(self, seconds: float) -> str:
        if self._unit == "B":
            amounts = f"{self._done / 1e9:,.2f} of {self._total / 1e9:,.2f} GB"
        else:
            amounts = f"{self._done:,} of {self._total:,} {self._unit}"
        share = self._done / self._total if self._total else 1.0
        if not share:
            return f"{self._what}: {amounts} (0%), unknown time left"
        minutes, left = divmod(max(0, round(seconds / share - seconds)), 60)
        clock = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
        return f"{self._what}: {amounts} ({share:.0%}), {clock}:{left:02} left"
