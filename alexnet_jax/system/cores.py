"""The processor and the cores that this process may use."""

import math
import os
import platform
from functools import cache
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")  # Names this process's cgroup, see cgroups(7).
_HIERARCHY = Path("/sys/fs/cgroup")  # Where cgroups are mounted.


def usable_cores(membership: Path = _MEMBERSHIP, hierarchy: Path = _HIERARCHY) -> int:
    """Return how many threads of this process can run at once, at least one.

    Slurm and taskset restrict a process to some cores; Docker and Kubernetes limit the CPU time of
    its cgroup. A fraction of a core counts as one.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux.
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for line in _read(membership).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = hierarchy / "cpu" if controllers else hierarchy  # Version 1 or 2 of cgroups.
        own = root / name.lstrip("/")
        # In a container the name may be that outside, which is not mounted here.
        folders = [own, *own.parents] if own.is_dir() else [root]
        for folder in folders:
            limit = _limit(folder) if folder.is_relative_to(root) else None
            cores = min(cores, limit) if limit else cores
    return cores


def processor_name(description: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, as far as the system tells it.

    Virtual machines call all generations alike: "AMD EPYC (family 26, model 2)". Two that differ
    there compute other bits, at other speeds.
    """
    facts = _facts(description)
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    details = [facts.get(key, "") for key in ("cpu family", "model")]
    return facts["model name"] + (" (family {}, model {})".format(*details) if all(details) else "")


@cache
def vector_units(description: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's widest units: "amx" (of bfloat16), "avx512", "avx2" or ""."""
    flags = _facts(description).get("flags", "").split()
    units = {"amx": "amx_bf16", "avx512": "avx512f", "avx2": "avx2"}
    return next((name for name, flag in units.items() if flag in flags), "")


def _facts(description: Path) -> dict[str, str]:
    """Return what the system says of its first core."""
    facts: dict[str, str] = {}
    for line in _read(description).split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    return facts


def _limit(folder: Path) -> int | None:
    """Return the cores that a cgroup allows; None if it has no limit."""
    if not (folder / "cpu.max").is_file():  # Version 1; a quota of -1 is no limit.
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    else:
        quota, _, period = _read(folder / "cpu.max").partition(" ")
    limited = quota.strip().isdigit()
    return max(1, math.ceil(int(quota) / int(period))) if limited else None


def _read(path: Path) -> str:
    """Return a file's text; "" if there is no such file, as on systems without cgroups."""
    return path.read_text() if path.is_file() else ""
