"""A lock that gives one process at a time a folder, which several hosts may share."""

import errno
import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self, TypeVar

from alexnet_jax.errors import UserError
from alexnet_jax.system.lock_owner import Owner

_Value = TypeVar("_Value")

_BEATS_MISSED = 3  # Missed by an owner that counts as gone.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_GONE = (errno.ENOENT, errno.ESTALE)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
_RECHECKS = 20  # Of a lock that seems lost: a file server may answer late.
_SETTLING_SECONDS = 0.2  # Longer than a contender takes from its last check to its renaming.


class LockHeldError(UserError):
    """Another process holds the lock."""


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

    Args:
        path: the lock file; its folder must exist.
        held: first part of the refusal: "another run is training in runs/x".
        way_out: last part of the refusal.
        beat: seconds between renewals.
        flock: the system's locking call.
        me: the process that takes the lock.
    """

    def __init__(
        self,
        path: Path,
        held: str,
        way_out: str,
        *,
        beat: float = 5.0,
        flock: Callable[[int, int], None] = fcntl.flock,
        me: Owner | None = None,
    ) -> None:
        self._path = path
        self._held = held
        self._way_out = way_out
        self._beat = beat
        self._flock = flock
        self._me = me or Owner.this_process()
        self._text = self._me.to_json()
        self._file: IO[str] | None = None
        self._released = threading.Event()
        self._renewal: threading.Thread

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
        while (file := self._create() or self._take_over()) is None:
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
            if _read(self._path) == self._text:
                self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Return whether another process holds the lock."""
        try:
            with self._path.open() as file:
                return self._is_held(file, file.read(), fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def check_still_mine(self) -> None:
        """Raise UserError if another process has taken the lock from this one."""
        if self._file is None:
            return
        for _ in range(_RECHECKS):
            text = _read(self._path)
            if text == self._text:
                return
            time.sleep(self._beat / 50)
        taker = Owner.read(text or "")
        raise UserError(
            f"{self._path} no longer names this process ({self._me}): "
            + (f"another one ({taker}) has taken it" if taker else "it was removed")
            + ", which can happen when a process stands still for long. Nothing more is written "
            "here; what was saved before is intact"
        )

    def check_visible(self, text: str) -> None:
        """Raise UserError unless this host sees the file with `text`, as in a shared folder."""
        deadline = time.monotonic() + _BEATS_MISSED * self._beat
        while _read(self._path) != text:
            # Network file systems may be seconds late.
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self._me.host} does not see the {self._path.name} that process 0 "
                    f"wrote in {self._path.parent.absolute()}: --workdir must lie on a file system "
                    "that all hosts share"
                )
            time.sleep(0.1)

    def _create(self) -> IO[str] | None:
        """Create the file, signed and locked; return None if there is one."""

        def link(temporary: Path) -> bool:
            try:
                os.link(temporary, self._path)
            except FileExistsError:
                # It may be our own: a file server made the link, but its answer was lost.
                return _read(self._path) == self._text
            return True

        try:
            return self._place(link)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        try:
            file = self._path.open("x+")
        except FileExistsError:
            return None
        # The file is empty for a moment; a contender may then take it for an abandoned one.
        self._sign(file)
        return self._settled(file)

    def _take_over(self) -> IO[str] | None:
        """Replace an abandoned file; return None if the lock was released or taken meanwhile.

        Raises:
            LockHeldError: the file is not abandoned.
        """
        try:
            abandoned = self._path.open("r+")
        except FileNotFoundError:
            return None
        with abandoned:
            text = abandoned.read()
            if self._is_held(abandoned, text, fcntl.LOCK_EX):
                if _read(self._path) != text:
                    return None
                owner = Owner.read(text) or "host unknown, pid unknown"
                raise LockHeldError(f"{self._held} ({owner}); {self._way_out}")

            def replace(temporary: Path) -> bool:
                unchanged = _read(self._path) == text
                if unchanged:
                    temporary.rename(self._path)
                return unchanged

            file = self._place(replace)
        return self._settled(file) if file else None

    def _place(self, place: Callable[[Path], bool]) -> IO[str] | None:
        """Give a new file, signed and locked, its name by `place`; return None if that failed."""
        temporary = self._path.with_name(f"{self._path.name}.{self._me.token}")
        file, placed = temporary.open("x+"), False
        try:
            self._sign(file)
            placed = place(temporary)
        finally:
            if not placed:
                file.close()
            temporary.unlink(missing_ok=True)
        return file if placed else None

    def _sign(self, file: IO[str]) -> None:
        self._lock(file, fcntl.LOCK_EX)
        file.write(self._text)
        file.flush()

    def _settled(self, file: IO[str]) -> IO[str] | None:
        """Return `file`, or None if a late contender has replaced it."""
        time.sleep(min(_SETTLING_SECONDS, self._beat))
        if _read(self._path) == self._text:
            return file
        file.close()
        return None

    def _is_held(self, file: IO[str], text: str, kind: int) -> bool:
        """Return whether the process that `text`, in `file`, names holds the lock."""
        locked = self._lock(file, kind)
        if locked is False:
            return True
        owner = Owner.read(text)
        if owner is None and locked:
            return False  # Released by an older version, or its writer died while writing.
        if owner is not None:
            running = owner.is_running(self._me)
            if running is not None:
                return running
            if locked and owner.shares_kernel(self._me):
                return False
        return self._changes(text)

    def _lock(self, file: IO[str], kind: int) -> bool | None:
        """Lock `file`; return False if another process has, None if the system cannot."""
        try:
            self._flock(file.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return None
        return True

    def _changes(self, text: str) -> bool:
        """Return whether the file is renewed or written within three beats."""
        before = _time_of_change(self._path)
        deadline = time.monotonic() + _BEATS_MISSED * self._beat
        while time.monotonic() < deadline:
            time.sleep(self._beat / 5)
            now = _time_of_change(self._path)
            if now is None:
                return False
            if now != before or _read(self._path) != text:
                return True
        return False

    def _renew(self, file: IO[str]) -> None:
        while not self._released.wait(self._beat):
            try:
                os.utime(file.fileno())  # The open file: its name may belong to another by now.
            except OSError as error:
                # A file server may be away for a moment: the next beat tries again.
                print(f"warning: {self._path} cannot be renewed: {error}", file=sys.stderr)


def _read(path: Path) -> str | None:
    return _unless_gone(path.read_text)


def _time_of_change(path: Path) -> int | None:
    def read() -> int:
        with path.open() as file:  # Opening makes a network file system refresh.
            return os.fstat(file.fileno()).st_mtime_ns

    return _unless_gone(read)


def _unless_gone(read: Callable[[], _Value]) -> _Value | None:
    try:
        return read()
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return None
