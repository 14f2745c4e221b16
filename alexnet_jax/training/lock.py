"""One run a workdir at a time."""

import errno
import fcntl
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import IO

from alexnet_jax.errors import UserError

_BEATS_MISSED = 3  # After which an owner on another host counts as gone.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # The time of change must do.


class WorkdirLock:
    """The lock of a workdir: `run.lock`, which names the process that has it.

    On one host, and over a network file system that passes locks on, the system frees it whenever
    and however the process ends: the name of a process that is gone is no obstacle. Where locks do
    not reach other hosts, the file's time of change tells: its owner renews it every few seconds,
    and who finds another host's name in it watches whether that goes on. Clocks are not compared.

    Args:
        workdir: exists once the lock is taken.
        beat: seconds from one renewal to the next.
    """

    def __init__(self, workdir: Path, beat: float = 5.0) -> None:
        self._workdir = workdir
        self._path = workdir / "run.lock"
        self._beat = beat
        self._file: IO[str] | None = None
        self._released = threading.Event()

    def acquire(self) -> str:
        """Take the lock, and return what the file now says.

        Raises:
            UserError: another run has it.
        """
        file = self._path.open("a")
        owner = _read_owner(self._path)
        if not _lock(file) or (owner and owner["host"] != _host() and self._is_renewed()):
            file.close()
            raise self._refusal()
        text = json.dumps({"host": _host(), "pid": os.getpid(), "started": time.time()})
        file.truncate(0)
        file.write(text)
        file.flush()
        self._file = file
        threading.Thread(target=self._renew, daemon=True).start()
        return text

    def check_visible(self, text: str) -> None:
        """Raise UserError unless the file says `text` on this host too, as in a shared workdir."""
        deadline = time.monotonic() + _BEATS_MISSED * self._beat
        while not self._path.exists() or self._path.read_text() != text:
            # Network file systems may be seconds late.
            if time.monotonic() > deadline:
                raise UserError(
                    f"{_host()} does not see the {self._path.name} that process 0 "
                    f"wrote in {self._workdir.absolute()}: --workdir must lie on a file system "
                    "that all hosts share"
                )
            time.sleep(0.1)

    def close(self) -> None:
        """Free the lock, if it was taken."""
        if self._file is not None:
            self._released.set()
            self._file.truncate(0)
            self._file.close()

    def _refusal(self) -> UserError:
        owner = _read_owner(self._path) or {"host": "unknown", "pid": "unknown"}
        return UserError(
            f"another run is training in {self._workdir} (host {owner['host']}, pid "
            f"{owner['pid']}); wait for it, stop it, or give another --workdir"
        )

    def _is_renewed(self) -> bool:
        before = _time_of_change(self._path)
        deadline = time.monotonic() + _BEATS_MISSED * self._beat
        while time.monotonic() < deadline:
            time.sleep(self._beat / 5)
            if _time_of_change(self._path) != before:
                return True
        return False

    def _renew(self) -> None:
        while not self._released.wait(self._beat):
            try:
                os.utime(self._path)
            except OSError as error:
                # A server that is away for a moment: the next beat makes up for this one.
                print(f"warning: {self._path} cannot be renewed: {error}", file=sys.stderr)


def _host() -> str:
    return socket.gethostname()


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _read_owner(path: Path) -> dict[str, object] | None:
    """Return who wrote the file; None if it was freed, or its writer died while writing."""
    try:
        owner = json.loads(path.read_text())
    except ValueError:
        return None
    return owner if isinstance(owner, dict) and {"host", "pid"} <= owner.keys() else None


def _time_of_change(path: Path) -> int:
    # Opening makes a network file system ask its server.
    with path.open() as file:
        return os.fstat(file.fileno()).st_mtime_ns
