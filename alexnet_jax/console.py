"""Standard output and error that never stop the work: who reads them may go away at any time."""

import fcntl
import io
import os
import select
import sys
from pathlib import Path
from typing import TextIO

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


def install_console() -> None:
    """Put streams in the place of `sys.stdout` and `sys.stderr` that take whatever is written.

    Once writing fails (the reader of a pipe is gone, a disk is full, a terminal is closed) the rest
    is thrown away: see `output_error`. What an encoding lacks is written as its escape. Descriptors
    that were closed from the start are taken, or a file of the run would get their number and all
    that C libraries print.
    """
    _take_closed_descriptors()
    for name, descriptor in _DESCRIPTORS.items():
        stream: TextIO | None = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # Somebody else's, such as a test's.
        if stream is not None:
            stream.flush()
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(_Lasting(descriptor)),
                encoding=stream.encoding if stream else "utf-8",
                errors="backslashreplace",
                line_buffering=stream.line_buffering if stream else True,
                write_through=stream.write_through if stream else False,
            ),
        )


def output_error() -> OSError | None:
    """Return why a part of what was written to standard output got lost; None where it did not."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return None
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    return raw.error if isinstance(raw, _Lasting) else None


class _Lasting(io.FileIO):
    """A descriptor that is turned to /dev/null when writing to it fails."""

    error: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])  # Somebody made it non-blocking, and it is full.
        except OSError as error:
            self.error = error
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return len(data)
        return written


def _take_closed_descriptors() -> None:
    for descriptor in (0, *_DESCRIPTORS.values()):
        try:
            fcntl.fcntl(descriptor, fcntl.F_GETFD)
        except OSError:
            # Not open for writing: what somebody tries to write there counts as lost.
            nowhere = os.open(os.devnull, os.O_RDONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            os.set_inheritable(descriptor, True)
