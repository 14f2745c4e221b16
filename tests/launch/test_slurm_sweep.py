"""launch/slurm/sweep.sbatch with Ray on a real Slurm cluster: preempted, requeued, finished."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from cluster_runs import free_port
from short_run import read_lines, wait_for_step
from slurm_cluster import SlurmCluster, missing_programs
from sweep_process import small_training

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_programs()),
        reason=f"Slurm is not installed ({', '.join(missing_programs())} missing)",
    ),
]
SCRIPT = "launch/slurm/sweep.sbatch"


def ray_runs():
    return any(process.info["name"] == "raylet" for process in psutil.process_iter(["name"]))


@pytest.fixture(scope="module")
def cluster(only_ray, tmp_path_factory):
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def slurm(cluster):
    for _ in range(100):  # Another test's Ray takes some seconds to end.
        if not ray_runs():
            break
        time.sleep(0.2)
    else:
        pytest.skip("Ray is running on this machine, and the job would end it")
    yield cluster
    cluster.end_jobs()
    if ray_runs():  # Of a job that was killed: the next test would meet it.
        subprocess.run([Path(sys.executable).parent / "ray", "stop", "--force"], check=True)


def submit(slurm, log, port, *arguments):
    return slurm.submit(
        "--gpus-per-node=0",
        f"--output={log}",
        SCRIPT,
        *arguments,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        RAY_HEAD="127.0.0.1",  # The nodes' names are no hosts' names here.
        RAY_PORT=str(port),
    )


def test_a_preempted_sweep_saves_is_requeued_and_ends(slurm, fractals_dir, tmp_path):
    (tmp_path / "two.py").write_text(
        "from alexnet_jax.sweeps import grid\n\n"
        "def get_sweep():\n    return grid({'train.seed': [1, 2]})\n"
    )
    trials = [tmp_path / "sweep" / f"train.seed={seed}" for seed in (1, 2)]
    job = submit(
        slurm,
        tmp_path / "log",
        free_port(),
        *small_training(fractals_dir),
        "--config.train.steps=200",  # Slurm stops it in a second, at any of them.
        "--config.log.every_steps=5",
        f"--sweep={tmp_path}/two.py",
        f"--workdir={tmp_path}/sweep",
        "--grace=1",  # No trial is stopped early.
    )
    wait_for_step(trials[0], 5)
    urgent = slurm.submit(
        "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"
    )
    slurm.wait_for_state(urgent, "COMPLETED")
    slurm.wait_for_state(job, "COMPLETED")
    log = (tmp_path / "log").read_text()
    assert "stopped by SIGTERM; saved" in log
    assert "0 ended before, 2 to run" in log.partition("stopped by SIGTERM; saved")[2]
    for trial in trials:
        assert (trial / "result.json").exists()
    steps = [line["step"] for line in read_lines(trials[0]) if line["kind"] == "train"]
    assert steps == sorted(set(steps))  # None twice; the step at which it stopped has a line, too.
    assert set(steps) >= set(range(5, 201, 5))


def test_a_job_whose_ray_does_not_start_fails(slurm, tmp_path):
    """`ray symmetric-run` itself ends with 0 then."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        job = submit(slurm, tmp_path / "log", taken.getsockname()[1], f"--workdir={tmp_path}")
        slurm.wait_for_state(job, "FAILED")
    assert "error: the sweep has not run to an end" in (tmp_path / "log").read_text()
