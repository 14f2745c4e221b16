"""Ending at once when asked, from the first moment of a program: SIGTERM and Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAVED_EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on from what was saved.


def exit_on_signals() -> None:
    """Let SIGTERM and Ctrl-C end this process with one line and 128 + their number.

    That is right until there is something to save; then training/preemption.py takes over. Call
    it before the first slow import: that of JAX takes seconds.
    """
    for number in SIGNALS:
        # A shell lets its background jobs ignore Ctrl-C; that is to stay so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def ignore_signals() -> None:
    """Let neither signal change the exit code of a program that has nothing left to do but exit."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ended_by_the_system() -> Iterator[None]:
    """Leave both signals to the system for a block in which Python's handlers would have to wait.

    Python runs them between two operations of its own: a call that waits in C++ is one.
    """
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        # Not by way of `print`, which the signal may have come in the middle of.
        os.write(2, f"stopped by {signal.Signals(number).name}, without saving\n".encode())
    finally:
        os._exit(128 + number)
