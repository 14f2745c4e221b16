"""Progress of long work: a live display on a terminal, plain lines elsewhere."""

import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from alexnet_jax.system.atomic_write import atomic_write

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0
_LINE_PART = 0.05  # Of the time so far, between lines: work of days prints a few hundred.
_REFRESHES_PER_SECOND = 4.0
_LONGEST_BAR = 40

_silent = False
# One for all displays of a stream: rich shows those that overlap below each other.
_consoles: dict[TextIO, "Console"] = {}


def silence() -> None:
    """Show no progress and say nothing from now on, as with --quiet or in a cluster's process 1."""
    global _silent
    _silent = True


def say(text: str) -> None:
    """Print a line on standard output, above a live display if there is one."""
    if not _silent:
        print(text, flush=True)


def is_live(stream: TextIO | None = None) -> bool:
    """Return whether progress on `stream`, by default standard error, is a live display."""
    stream = _unwrapped(stream or sys.stderr)
    return not _silent and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def clock(seconds: float) -> str:
    """Format a duration: 75 becomes "1:15", 3,675 "1:01:15", 90,000 "1 day 1:00:00"."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days:,} day{'s' * (days > 1)} {hour}:{minute:02}:{second:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Progress:
    """Shows how much of the work is done, its rate, and how long the rest takes.

    Use it as a context manager and call `advance`. Several may be open at once. Where the stream,
    by default standard error, is no terminal, work of less than ten seconds prints nothing.

    Args:
        what: Name of the work.
        total: Amount of the work; None: unknown, only the time is shown.
        unit: "B" for bytes, or a plural noun.
        done: Amount that was done before.
        lines: Whether to print lines if the stream is no terminal.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        unit: str = "",
        *,
        done: int = 0,
        lines: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what = what
        self.notes: list[str] = []  # Shown below the bar.
        self._total, self._unit = total, unit
        self._done = self._before = done
        self._lines = lines and not _silent
        self._stream = _unwrapped(stream or sys.stderr)
        self._clock = clock
        self._start = self._last_line = 0.0
        # When the first of the work was done, and how much there was then.
        self._since: tuple[float, int] | None = None
        self._live: Live | None = None
        self._numbers_width = 0  # Of the longest so far: the bar should not jump.

    def __enter__(self) -> Self:
        self._start = self._last_line = self._clock()
        if is_live(self._stream):
            self._live = _show(self._stream, self._render)
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, amount: int) -> None:
        """Count `amount` more as done."""
        self._done += amount
        if amount and self._since is None:
            self._since = self._clock(), self._done
        if self._live is not None or not self._lines:
            return
        now = self._clock()
        pause = max(_SECONDS_BETWEEN_LINES, _LINE_PART * (now - self._start))
        if now - self._last_line >= pause:
            self._last_line = now
            print(self._line(now - self._start), file=self._stream, flush=True)

    def _line(self, seconds: float) -> str:
        return f"{self.what}: {self._amounts()}, {self._left(seconds)}"

    def _amounts(self) -> str:
        assert self._total is not None, "work of unknown length does not advance"
        share = self._done / self._total if self._total else 1.0
        if self._unit == "B":
            return f"{self._done / 1e9:,.2f} of {self._total / 1e9:,.2f} GB ({share:.0%})"
        return f"{self._done:,} of {self._total:,} {self._unit} ({share:.0%})"

    def _speed(self, seconds: float) -> float:
        """Return the amount a second, without what starts once, such as threads and decoders."""
        now = self._start + seconds
        time, done = self._since or (now, self._done)
        # What was prepared meanwhile comes at once, and large pieces seldom.
        if now - time < 1.0 or done == self._done:
            time, done = self._start, self._before
        return (self._done - done) / max(now - time, 1e-9)

    def _left(self, seconds: float) -> str:
        speed = self._speed(seconds)
        if not speed or self._total is None:
            return "unknown time left"
        return f"{clock((self._total - self._done) / speed)} left"

    def _rate(self, seconds: float) -> str:
        rate = self._speed(seconds)
        if self._unit == "B":
            return f"{rate / 1e6:,.0f} MB/s"
        return f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{rate:.2g} {self._unit}/s"

    def _render(self) -> "Text":
        from rich.text import Text

        seconds = self._clock() - self._start
        if self._total is None:
            bar = f"{self.what}  {clock(seconds)}"
        else:
            parts = [self._amounts()]
            if self._done > self._before:
                parts += [self._rate(seconds), self._left(seconds)]
            bar = self._bar("  ".join(parts))
        width = _consoles[self._stream].width
        return Text("\n".join([bar, *(line for note in self.notes for line in _fold(note, width))]))

    def _bar(self, numbers: str) -> str:
        console = _consoles[self._stream]
        self._numbers_width = max(self._numbers_width, len(numbers))
        width = min(_LONGEST_BAR, console.width - len(self.what) - self._numbers_width - 5)
        if width < 5:
            return f"{self.what}  {numbers}"
        full, empty = "#-" if console.options.ascii_only else "━╌"
        done = int(width * min(1.0, self._done / self._total)) if self._total else width
        return f"{self.what}  {full * done}{empty * (width - done)}  {numbers}"


def _fold(note: str, width: int) -> list[str]:
    """Return a note as indented lines; it is broken between its parts, two spaces apart."""
    whole = re.sub(r"(?<! ) (?! )", "\xa0", note)
    lines = textwrap.wrap(whole, width - 2, break_long_words=False, break_on_hyphens=False)
    return [f"  {line}".replace("\xa0", " ") for line in lines]


@contextmanager
def announced(what: str, kind: str, folder: str | None) -> Iterator[None]:
    """Announce work of unknown length, with the longest time that its kind has taken before.

    The times are in `folder`, which exists after the work: that of the compiled programs, say. It
    is the longest because work that is found done there takes no time.
    """
    file = Path(folder or os.devnull, "seconds.json")
    seconds: dict[str, float] = {}
    with suppress(OSError, ValueError, TypeError):  # No such file, or a damaged one.
        seconds = {key: float(value) for key, value in dict(json.loads(file.read_text())).items()}
    longest = seconds.get(kind, 0.0)
    if longest >= 1:
        what += f" (up to {longest:.0f} s before)"
    if not is_live():
        say(what)
    start = time.monotonic()
    with Progress(what, None):
        yield
    taken = time.monotonic() - start
    if taken > longest:
        with suppress(OSError):
            atomic_write(file, json.dumps(seconds | {kind: round(taken, 1)}))


def _unwrapped(stream: TextIO) -> TextIO:
    """Return the stream that a live display has replaced, or `stream` itself."""
    return getattr(stream, "rich_proxied_file", stream)


def _show(stream: TextIO, render: Callable[[], "Text"]) -> "Live":
    """Start a live display, with what is printed meanwhile above it."""
    # Imported here because most programs end without a terminal to show anything on.
    from rich.console import Console
    from rich.live import Live

    if stream not in _consoles:
        _consoles[stream] = Console(file=stream, force_terminal=True, highlight=False)
    console = _consoles[stream]
    live = Live(
        get_renderable=render,
        console=console,
        refresh_per_second=_REFRESHES_PER_SECOND,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )
    live.start()
    live.refresh()
    console.show_cursor(True)  # A process that is killed would leave it hidden.
    return live
