"""The processor cores that this process may use."""

import math
import os
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_HIERARCHY = Path("/sys/fs/cgroup")


def usable_cores(membership: Path = _MEMBERSHIP, hierarchy: Path = _HIERARCHY) -> int:
    """Return how many threads can run at once: not the machine's cores but this process's.

    Slurm and taskset restrict a process to some cores; Docker and Kubernetes give its cgroup a
    quota of time. Part of a core counts as a whole one.

    Args:
        membership: tells this process's cgroup, as cgroups(7) describes it.
        hierarchy: where cgroups are mounted.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux.
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _quota(membership, hierarchy)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(membership: Path, hierarchy: Path) -> float | None:
    """Return the cores' time that the cgroup and those around it allow; None without a limit."""
    found = []
    for line in _read(membership).splitlines():
        _, controllers, name = line.split(":", 2)
        if not controllers:  # Version 2: one hierarchy for all controllers.
            root, limit = hierarchy, _limit_of_version_2
        elif "cpu" in controllers.split(","):
            root, limit = hierarchy / "cpu", _limit_of_version_1
        else:
            continue
        own = root / name.lstrip("/")
        # Inside a container the name may be that of the outside, which is not mounted here.
        folders = [own, *own.parents] if own.is_dir() else [root]
        found += [limit(folder) for folder in folders if folder.is_relative_to(root)]
    return min((limit for limit in found if limit is not None), default=None)


def _limit_of_version_2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() else None


def _limit_of_version_1(folder: Path) -> float | None:
    quota = _read(folder / "cpu.cfs_quota_us").strip()  # -1: no limit.
    return int(quota) / int(_read(folder / "cpu.cfs_period_us")) if quota.isdigit() else None


def _read(path: Path) -> str:
    """Return a file's text; "" where there is no such file, as on systems without cgroups."""
    return path.read_text() if path.is_file() else ""
