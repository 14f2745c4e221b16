"""One process at a time in a folder, on any file system that several hosts may share."""

import errno
import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from alexnet_jax.errors import UserError
from alexnet_jax.lock_owner import Owner

_BEATS_MISSED = 3  # After which an owner that cannot be asked counts as gone.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_GONE = (errno.ENOENT, errno.ESTALE)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
_RECHECKS = 20  # Of a lock that seems lost; a file server may have answered late.
_SETTLING_SECONDS = 0.2  # More than passes between a contender's last look and its renaming.


class LockHeldError(UserError):
    """Another process holds the lock."""


class FolderLock:
    """A lock file that names the process that holds it.

    Three facts keep a second process out, and each is enough:

    - The file is created exclusively, whole, with its owner's token in it. Of two processes that
      start at once, on one host or two, one creates it.
    - The owner holds a lock of the system on the file (flock), which ends however the process ends.
      File systems may refuse such locks, or keep them from other hosts.
    - The owner renews the file's time of change. A contender that can neither see a lock nor ask
      its own kernel for the process watches for three beats whether that continues. Clocks of
      two hosts are never compared.

    A contender takes an abandoned lock over by renaming a file of its own onto it, so that no third
    process finds the name free. Of several that do so at once, the last has the lock; each waits
    until the others are through, and looks again.

    An owner that was frozen for longer than that, on another host, has lost its lock when it comes
    back. `check_still_mine`, called before each write that matters, says so.

    Args:
        path: the lock file; its folder must exist.
        held: begins the refusal: "another run is training in runs/x".
        way_out: ends it.
        beat: seconds from one renewal to the next.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def acquire(self) -> str:
        """Take the lock, and return what the file now says.

        Raises:
            LockHeldError: another process has it.
            OSError: nothing can be written to the folder.
        """
        while (file := self._create() or self._take_over()) is None:
            pass
        self._file = file
        self._renewal = threading.Thread(target=self._renew, args=(file,), daemon=True)
        self._renewal.start()
        return self._text

    def close(self) -> None:
        """Free the lock, if it was taken."""
        if self._file is not None:
            self._released.set()
            self._renewal.join()
            if _read(self._path) == self._text:
                self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Say whether another process holds the lock."""
        try:
            with self._path.open() as file:
                return self._is_held(file, file.read(), fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def check_still_mine(self) -> None:
        """Raise UserError if another process has taken the lock since `acquire`.

        It has no effect in a process that never took the lock.
        """
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
        """Raise UserError unless the file says `text` on this host too, as in a shared folder."""
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
        """Create the file with this owner in it, locked; return None if there is one."""
        temporary, file = self._signed()
        named = False
        try:
            named = self._link(temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_without_links()
        finally:
            if not named:
                file.close()
            temporary.unlink(missing_ok=True)
        return file if named else None

    def _link(self, temporary: Path) -> bool:
        """Give a file the lock's name; return whether it has it: another may."""
        try:
            os.link(temporary, self._path)
        except FileExistsError:
            # It may be our own: a file server made the link, and its answer was lost.
            return _read(self._path) == self._text
        return True

    def _create_without_links(self) -> IO[str] | None:
        """Do as `_create` where files cannot have two names.

        The file is empty for a moment, in which a contender may take it for an abandoned one.
        """
        try:
            file = self._path.open("x+")
        except FileExistsError:
            return None
        self._sign(file)
        return self._settled(file)

    def _take_over(self) -> IO[str] | None:
        """Put a file of this owner in the place of an abandoned one.

        Returns:
            The file, locked; None if another process freed the lock or took it meanwhile.

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
            temporary, file = self._signed()
            replaced = False
            try:
                if _read(self._path) == text:
                    temporary.rename(self._path)
                    replaced = True
            finally:
                if not replaced:
                    file.close()
                    temporary.unlink(missing_ok=True)
        return self._settled(file) if replaced else None

    def _signed(self) -> tuple[Path, IO[str]]:
        """Create a file of another name with this owner in it, locked."""
        path = self._path.with_name(f"{self._path.name}.{self._me.token}")
        file = path.open("x+")
        self._sign(file)
        return path, file

    def _sign(self, file: IO[str]) -> None:
        self._lock(file, fcntl.LOCK_EX)
        file.write(self._text)
        file.flush()

    def _settled(self, file: IO[str]) -> IO[str] | None:
        """Return `file`, or None if a contender that was late has replaced it."""
        time.sleep(min(_SETTLING_SECONDS, self._beat))
        if _read(self._path) == self._text:
            return file
        file.close()
        return None

    def _is_held(self, file: IO[str], text: str, kind: int) -> bool:
        """Say whether the process that `file` names, in `text`, holds the lock."""
        locked = self._lock(file, kind)
        if locked is False:
            return True
        owner = Owner.read(text)
        if owner is None and locked:
            return False  # Freed by an older version, or its writer died while writing.
        if owner is not None:
            running = owner.is_running(self._me)
            if running is not None:
                return running
            if locked and owner.shares_kernel(self._me):
                return False
        return self._changes(text)

    def _lock(self, file: IO[str], kind: int) -> bool | None:
        """Lock `file`; False where another process has done so, None where that is impossible."""
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
        """Watch for three beats whether the file is renewed or written."""
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
                os.utime(file.fileno())  # The open file: under its name may be another's by now.
            except OSError as error:
                # A server that is away for a moment: the next beat makes up for this one.
                print(f"warning: {self._path} cannot be renewed: {error}", file=sys.stderr)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return None


def _time_of_change(path: Path) -> int | None:
    try:
        # Opening makes a network file system ask its server.
        with path.open() as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return None
