"""The process that a lock file names, and whether that process is still there."""

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
    """A process, as a lock file names it.

    Attributes:
        host: its host's name.
        pid: its number there.
        started: when it took the lock, in seconds since 1970 on its own clock; for people.
        token: differs for every taking of a lock; empty in files of older versions.
        machine: identifies the running kernel and the process namespace, in which `pid` is unique;
            empty where that is unknown.
        process_start: when the process started, in the kernel's ticks; empty where unknown.
    """

    host: str
    pid: int | str
    started: float = 0.0
    token: str = ""
    machine: str = ""
    process_start: str = ""

    @classmethod
    def this_process(cls) -> Self:
        """Describe this process, with a token of its own."""
        pid = os.getpid()
        return cls(
            socket.gethostname(), pid, time.time(), uuid.uuid4().hex, _machine(), _start(pid) or ""
        )

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse a lock file; None where it names nobody, or its writer died while writing."""
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
        """Return what a lock file of this owner says."""
        return json.dumps(asdict(self))

    def shares_kernel(self, other: "Owner") -> bool:
        """Say whether both run under one kernel, which would know of each other's locks."""
        if not self.machine or not other.machine:  # An older version's file: its host must do.
            return self.host == other.host
        return self.host == other.host and _boot(self.machine) == _boot(other.machine)

    def is_running(self, seen_by: "Owner") -> bool | None:
        """Say whether the process is running; None where `seen_by` cannot know.

        A process with the same number that started at another time is another process.
        """
        if not self.machine or (self.host, self.machine) != (seen_by.host, seen_by.machine):
            return None
        start = _start(self.pid) if isinstance(self.pid, int) and self.pid > 0 else None
        return start is not None and start in ("", self.process_start)


def _machine() -> str:
    """Identify the kernel and the process namespace: containers can share a host's name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # Not Linux.
        return ""


def _boot(machine: str) -> str:
    return machine.partition(" ")[0]


def _start(pid: int) -> str | None:
    """Return when a process started; "" where that is hidden, None where there is no process.

    A process that has ended and waits for its parent to notice counts as gone.
    """
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
