"""The process that a lock file names, and whether it is still running."""

import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_STATE, _START = 0, 19  # Fields of /proc/PID/stat behind the command's name; see proc(5).


@dataclass(frozen=True)
class Owner:
    """A process, as a lock file names it; what a file of an older version lacks is empty."""

    host: str
    pid: int | str
    started: float = 0.0  # When it took the lock, in seconds since 1970 on its clock; for people.
    token: str = ""  # Unique for each acquisition.
    machine: str = ""  # Identifies the running kernel and the process namespace of `pid`.
    process_start: str = ""  # In the kernel's ticks.

    @classmethod
    def this_process(cls) -> Self:
        """Describe this process, with a new token."""
        pid = os.getpid()
        host, token = socket.gethostname(), uuid.uuid4().hex
        return cls(host, pid, time.time(), token, _machine(), _start(pid) or "")

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse a lock file; return None if it names no process."""
        try:
            fields = json.loads(text)
        except ValueError:
            return None
        if not isinstance(fields, dict) or not {"host", "pid"} <= fields.keys():
            return None
        return cls(**{name: fields[name] for name in cls.__annotations__ if name in fields})

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}"

    def to_json(self) -> str:
        """Return the text of this owner's lock file."""
        return json.dumps(asdict(self))

    def shares_kernel(self, other: "Owner") -> bool:
        """Return whether both run under one kernel, which shows each the other's locks."""
        known = self.machine and other.machine  # Files of older versions have no `machine`.
        boots = {owner.machine.partition(" ")[0] for owner in (self, other)}
        return self.host == other.host and (not known or len(boots) == 1)

    def is_running(self, seen_by: "Owner") -> bool | None:
        """Return whether the process is running; None if `seen_by` cannot know.

        A process with the same ID that started at another time is another process.
        """
        if not self.machine or (self.host, self.machine) != (seen_by.host, seen_by.machine):
            return None
        start = _start(self.pid) if isinstance(self.pid, int) and self.pid > 0 else None
        return start is not None and start in ("", self.process_start)


def _machine() -> str:
    """Identify the kernel and the process namespace: containers can share a host name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # Not Linux.
        return ""


def _start(pid: int) -> str | None:
    """Return when a process started; "" if that is hidden, None if it has ended (zombies too)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # Another user's.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return None if fields[_STATE] in "ZX" else fields[_START]
