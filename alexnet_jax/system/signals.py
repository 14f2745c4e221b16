"""SIGTERM and Ctrl-C before and after training."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAVED_EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: the same command resumes the run.


def exit_on_signals() -> None:
    """End this process at a signal with one line and exit code 128 + its number.

    Call it before the first slow import. Once there is something to save, training/preemption.py
    handles the signals.
    """
    for number in SIGNALS:
        # A shell lets its background jobs ignore Ctrl-C; keep that.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def ignore_signals() -> None:
    """Ignore both signals in a program that is about to exit with another code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ended_by_the_system() -> Iterator[None]:
    """Use the system's handlers for a block that waits in C++, where Python's cannot run."""
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
        # `print` may be what the signal interrupted.
        os.write(2, f"stopped by {signal.Signals(number).name}, without saving\n".encode())
    finally:
        os._exit(128 + number)
