"""Standard output and error that never stop the work, even if nothing reads them."""

import fcntl
import io
import os
import select
import sys
from pathlib import Path
from typing import Any, TextIO, cast


def install_console() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams on which writing never fails.

    After the first error (a closed pipe or terminal, a full disk) the rest is discarded: see
    `output_error`. Characters that the encoding lacks are escaped. Closed descriptors are opened:
    otherwise a file of the run would get their number, and the output of C libraries.
    """
    for descriptor in range(3):
        try:
            fcntl.fcntl(descriptor, fcntl.F_GETFD)
        except OSError:
            # Read-only: writing to it fails, so its output counts as lost.
            nowhere = os.open(os.devnull, os.O_RDONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            os.set_inheritable(descriptor, True)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # Already replaced, as by a test.
        if stream is not None:
            stream.flush()
        console = io.TextIOWrapper(
            io.BufferedWriter(cast(Any, _Lasting(descriptor))),
            encoding=stream.encoding if stream else "utf-8",
            errors="backslashreplace",
            line_buffering=stream.line_buffering if stream else True,
            write_through=stream.write_through if stream else False,
        )
        setattr(sys, name, console)


def output_error() -> OSError | None:
    """Return why part of standard output was lost; None if nothing was."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return None
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    return raw.error if isinstance(raw, _Lasting) else None


class _Lasting(io.FileIO):
    """A descriptor that is redirected to /dev/null when writing to it fails."""

    error: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])  # A non-blocking descriptor is full.
        except OSError as error:
            self.error = error
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return len(data)
        return written
