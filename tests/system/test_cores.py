import os
import subprocess
import sys

import pytest
from short_run import REPOSITORY

from alexnet_jax.system.cores import processor_name, usable_cores, vector_units

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
pytestmark = pytest.mark.skipif(ALLOWED is None, reason="cores are assigned on Linux only")


def cores_with(tmp_path, membership, **files):
    """The cores that cgroups of these files would leave, "a__b" standing for the path a/b."""
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "fs" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return usable_cores(tmp_path / "cgroup", tmp_path / "fs")


def test_a_process_bound_to_one_core_has_one():
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from alexnet_jax.system.cores import usable_cores; print(usable_cores())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_a_system_without_cgroups_leaves_what_the_process_may_use(tmp_path):
    assert usable_cores(tmp_path / "none", tmp_path) == ALLOWED


def test_a_quota_without_limit_leaves_them_too(tmp_path):
    assert cores_with(tmp_path, "0::/job\n", job__cpu_max="max 100000\n") == ALLOWED


def test_a_quota_rounds_up(tmp_path):
    assert cores_with(tmp_path, "0::/job\n", job__cpu_max="50000 100000\n") == 1


def test_a_large_quota_gives_no_more_than_there_are(tmp_path):
    assert cores_with(tmp_path, "0::/\n", cpu_max="99900000 100000\n") == ALLOWED


def test_the_quota_of_a_cgroup_around_it_counts(tmp_path):
    files = {"pod__cpu_max": "100000 100000\n", "pod__job__cpu_max": "max 100000\n"}
    assert cores_with(tmp_path, "0::/pod/job\n", **files) == 1


def test_a_container_that_does_not_see_its_name_reads_the_root(tmp_path):
    assert cores_with(tmp_path, "0::/outside/name\n", cpu_max="100000 100000\n") == 1


def test_a_quota_of_the_first_version_counts(tmp_path):
    folder = tmp_path / "fs" / "cpu" / "job"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("100000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert cores_with(tmp_path, "3:cpu,cpuacct:/job\n2:memory:/job\n") == 1


def test_a_processor_is_told_from_others_of_its_name(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\n"
        "processor\t: 1\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    )
    assert processor_name(tmp_path / "cpuinfo") == "AMD EPYC (family 26, model 2)"


def test_a_processor_without_a_family_has_its_name_alone(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: ARMv8\n")
    assert processor_name(tmp_path / "cpuinfo") == "ARMv8"
    assert processor_name(tmp_path / "missing")  # What Python's `platform` knows.


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f amx_bf16 amx_tile", "amx"),
        ("fpu avx2 avx512f", "avx512"),
        ("fpu avx avx2", "avx2"),
        ("fpu sse", ""),
    ],
)
def test_a_processor_tells_of_its_widest_units(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert vector_units(tmp_path / "cpuinfo") == expected
    assert vector_units(tmp_path / "missing") == ""
