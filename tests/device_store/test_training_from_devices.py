"""Runs whose images are in the devices' memories train as those from records, to the bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_runs import finish, lines, options, result, start_together
from short_run import REPOSITORY

pytestmark = pytest.mark.slow

LAYOUTS = {
    "data": ("data", None),
    "hybrid": ("hybrid", 8),
    "hybrid_of_two_rows": ("hybrid", 4),
    "columns": ("columns", 2),
    "fsdp": ("fsdp", 8),
}


@pytest.fixture(scope="module")
def trained(stored_fractals, tmp_path_factory):
    """The results of every layout on eight devices, by source."""
    tests = Path(__file__).parent
    paths = os.pathsep.join(map(str, (REPOSITORY, tests.parent, tests)))
    done = subprocess.run(
        [
            sys.executable,
            tests / "trained_from_devices.py",
            stored_fractals,
            tmp_path_factory.mktemp("runs"),
            json.dumps(LAYOUTS),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_eight_devices_train_and_evaluate_as_from_records(trained, layout):
    assert trained[layout]["device"] == trained[layout]["records"]


def test_two_processes_train_and_evaluate_as_from_records(two_processes, stored_fractals, tmp_path):
    changed = {"data.source": "device"}
    ends = finish(start_together(2, options(stored_fractals, tmp_path / "run", **changed)))
    assert [code for code, _, _ in ends] == [0, 0], ends
    records, found = two_processes[0], tmp_path / "run"
    assert result(found)["parameters_sha256"] == result(records)["parameters_sha256"]
    assert result(found)["ten_crop"] == result(records)["ten_crop"]
    for kind in ("train", "eval"):
        assert lines(found, kind) == lines(records, kind)


def test_damage_that_one_process_finds_ends_both_at_once(stored_fractals, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(stored_fractals, damaged)
    (shard,) = damaged.glob("**/pixels_96/train-00000-of-*.npy")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    changed = {"data.source": "device", "parallel.heartbeat_timeout": 100}
    arguments = options(stored_fractals, tmp_path / "run", **changed)
    ends = finish(start_together(2, arguments, last=[f"--config.data.dir={damaged}"]))
    assert [code for code, _, _ in ends] == [2, 2], ends
    assert "damaged in" in ends[0][2]
