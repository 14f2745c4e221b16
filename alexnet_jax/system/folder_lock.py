"""A lock that gives one process at a time a folder, which several hosts may share."""

import errno
import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Self

from alexnet_jax.errors import UserError
from alexnet_jax.system.lock_owner import Owner

_BEATS_MISSED = 3  # Missed by an owner that counts as gone.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_GONE = (errno.ENOENT, errno.ESTALE)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
_RECHECKS = 20  # Of a lock that seems lost: a file server may answer late.
_SETTLING_SECONDS = 0.2  # Longer than a contender takes from its last check to its renaming.


class LockHeldError(UserError):
    """Another process holds the lock."""


@dataclass(eq=False)
class FolderLock:
    """A lock file that names the process that holds it.

    Each of three mechanisms alone excludes a second process:

    - The file is created exclusively and atomically, with its owner's token in it.
    - The owner holds a system lock (flock) on the file, which ends with the process. Some file
      systems refuse such locks, or do not show them to other hosts.
    - The owner renews the file's modification time. A contender that can neither see a lock nor
      look the process up watches for three beats. It never compares the clocks of two hosts.

    A contender takes over an abandoned lock by renaming its own file onto it, so the name is never
    free. If several do so at once, the last one wins; each waits for the others, then checks.

    An owner on another host that was frozen for three beats has lost its lock. Call
    `check_still_mine` before each important write.
    """

    path: Path  # The lock file; its folder must exist.
    held: str  # First part of the refusal: "another run is training in runs/x".
    way_out: str  # Last part of the refusal.
    _: KW_ONLY
    beat: float = 5.0  # Seconds between renewals.
    flock: Callable[[int, int], None] = fcntl.flock  # The system's locking call.
    me: Owner = field(default_factory=Owner.this_process)

    def __post_init__(self) -> None:
        self._text = self.me.to_json()
        self._file: IO[str] | None = None  # Open while the lock is held.
        self._released = threading.Event()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def acquire(self) -> str:
        """Take the lock, and return the text of the file.

        Raises:
            LockHeldError: another process has it.
            OSError: the folder is not writable.
        """
        while (file := self._try_to_acquire()) is None:
            pass
        self._file = file
        self._renewal = threading.Thread(target=self._renew, args=(file,), daemon=True)
        self._renewal.start()
        return self._text

    def close(self) -> None:
        """Release the lock, if it was taken."""
        if self._file is not None:
            self._released.set()
            self._renewal.join()
            if self._read() == self._text:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Return whether another process holds the lock."""
        try:
            with self.path.open() as file:
                return self._is_held(file, file.read(), fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def check_still_mine(self) -> None:
        """Raise UserError if another process has taken the lock from this one."""
        if self._file is None:
            return
        for _ in range(_RECHECKS):
            text = self._read()
            if text == self._text:
                return
            time.sleep(self.beat / 50)
        taker = Owner.read(text or "")
        raise UserError(
            f"{self.path} no longer names this process ({self.me}): "
            + (f"another one ({taker}) has taken it" if taker else "it was removed")
            + ", which can happen when a process stands still for long. Nothing more is written "
            "here; what was saved before is intact"
        )

    def check_visible(self, text: str) -> None:
        """Raise UserError unless this host sees the file with `text`, as in a shared folder."""
        deadline = time.monotonic() + _BEATS_MISSED * self.beat
        while self._read() != text:
            # Network file systems may be seconds late.
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self.me.host} does not see the {self.path.name} that process 0 "
                    f"wrote in {self.path.parent.absolute()}: --workdir must lie on a file system "
                    "that all hosts share"
                )
            time.sleep(0.1)

    def _try_to_acquire(self) -> IO[str] | None:
        """Create the file or take it over; return None if another process was faster.

        Raises:
            LockHeldError: another process has the lock.
        """
        try:
            abandoned = self.path.open("r+")
        except FileNotFoundError:
            return self._place(self._create)
        with abandoned:
            text = abandoned.read()
            if not self._is_held(abandoned, text, fcntl.LOCK_EX):
                return self._place(partial(self._replace, text))
            if self._read() != text:
                return None
            owner = Owner.read(text) or "host unknown, pid unknown"
            raise LockHeldError(f"{self.held} ({owner}); {self.way_out}")

    def _place(self, place: Callable[[Path], bool]) -> IO[str] | None:
        """Give a new file, signed and locked, its name by `place`; return None if that failed."""
        temporary = self.path.with_name(f"{self.path.name}.{self.me.token}")
        file, placed = temporary.open("x+"), False
        try:
            self._lock(file, fcntl.LOCK_EX)
            file.write(self._text)
            file.flush()
            placed = place(temporary)
        finally:
            if not placed:
                file.close()
            temporary.unlink(missing_ok=True)
        return file if placed else None

    def _create(self, temporary: Path) -> bool:
        try:
            os.link(temporary, self.path)
        except FileExistsError:
            # It may be our own: a file server made the link, but its answer was lost.
            return self._read() == self._text
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return True
        try:
            self.path.touch(exist_ok=False)
        except FileExistsError:
            return False
        # A contender may take the empty file for an abandoned one.
        return self._replace("", temporary)

    def _replace(self, text: str, temporary: Path) -> bool:
        """Replace a file that holds `text`; return whether it did, and no late contender did."""
        if self._read() != text:
            return False
        temporary.rename(self.path)
        time.sleep(min(_SETTLING_SECONDS, self.beat))
        return self._read() == self._text

    def _is_held(self, file: IO[str], text: str, kind: int) -> bool:
        """Return whether the process that `text`, in `file`, names holds the lock."""
        locked = self._lock(file, kind)
        if locked is False:
            return True
        owner = Owner.read(text)
        if owner is None and locked:
            return False  # Released by an older version, or its writer died while writing.
        if owner is not None:
            running = owner.is_running(self.me)
            if running is not None:
                return running
            if locked and owner.shares_kernel(self.me):
                return False
        return self._changes(text)

    def _lock(self, file: IO[str], kind: int) -> bool | None:
        """Lock `file`; return False if another process has, None if the system cannot."""
        try:
            self.flock(file.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return None
        return True

    def _changes(self, text: str) -> bool:
        """Return whether the file is renewed or written within three beats."""
        before = self._look()
        deadline = time.monotonic() + _BEATS_MISSED * self.beat
        while time.monotonic() < deadline:
            time.sleep(self.beat / 5)
            now = self._look()
            if now is None:
                return False
            if now != before or now[0] != text:
                return True
        return False

    def _renew(self, file: IO[str]) -> None:
        while not self._released.wait(self.beat):
            try:
                os.utime(file.fileno())  # The open file: its name may belong to another by now.
            except OSError as error:
                # A file server may be away for a moment: the next beat tries again.
                print(f"warning: {self.path} cannot be renewed: {error}", file=sys.stderr)

    def _read(self) -> str | None:
        found = self._look()
        return found and found[0]

    def _look(self) -> tuple[str, int] | None:
        """Return the file's text and time of change; None if it is gone."""
        try:
            with self.path.open() as file:  # Opening makes a network file system refresh.
                return file.read(), os.fstat(file.fileno()).st_mtime_ns
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return None
