"""launch/slurm/train.sbatch on a real cluster of two nodes: preempted, canceled, as an array."""

import subprocess
import sys

import pytest
from cluster_runs import free_port, lines, options, result
from short_run import REPOSITORY, wait_for_step
from slurm_cluster import SlurmCluster, missing_programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_programs()),
        reason=f"Slurm is not installed ({', '.join(missing_programs())} missing; Debian: apt-get "
        "install slurmctld slurmd slurm-client munge)",
    ),
]
SCRIPT = "launch/slurm/train.sbatch"
NO_GPUS = "--gpus-per-node=0"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


def submit(slurm, workdir, sbatch_options, training):
    """Submit a run; its log lies beside the workdir."""
    return slurm.submit(
        *sbatch_options,
        NO_GPUS,
        f"--output={workdir}.log",
        SCRIPT,
        *training,
        PYTHON=sys.executable,
        # The nodes' names are no hosts' names here.
        JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{free_port()}",
    )


def test_a_preempted_run_is_requeued_and_ends_with_the_same_bits(
    slurm, two_processes, fractals_dir, tmp_path
):
    workdir = tmp_path / "run"
    job = submit(slurm, workdir, ["--nodes=2"], options(fractals_dir, workdir))
    # Its steps may take less time than Slurm does: while the first is compiled is early enough.
    slurm.wait_until((workdir / "metrics.jsonl").exists)
    # Takes all CPUs of both nodes, for a moment.
    urgent = slurm.submit(
        "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"
    )
    slurm.wait_for_state(urgent, "COMPLETED")
    slurm.wait_for_state(job, "COMPLETED")
    log = (tmp_path / "run.log").read_text()
    assert "requeueing: preempted or out of time, and saved" in log
    assert "stopped by SIGTERM; saved" in log
    expected = result(two_processes[0])["parameters_sha256"]
    assert result(workdir)["parameters_sha256"] == expected


def test_a_cancelled_run_stays_cancelled(slurm, fractals_dir, tmp_path):
    workdir = tmp_path / "run"
    job = submit(slurm, workdir, ["--nodes=2"], options(fractals_dir, workdir, train__steps=10_000))
    wait_for_step(workdir, 2)
    slurm.command("scancel", job)
    slurm.wait_for_state(job, "CANCELLED")
    assert "requeueing" not in (tmp_path / "run.log").read_text()


def test_a_crash_is_retried_as_often_as_allowed(slurm, tmp_path):
    """A Python that cannot start stands for whatever fails."""
    workdir = tmp_path / "run"
    job = slurm.submit(
        NO_GPUS,
        f"--output={tmp_path}/log",
        SCRIPT,
        f"--workdir={workdir}",
        PYTHON="/bin/false",
        MAX_CRASHES="1",
    )
    slurm.wait_for_state(job, "FAILED")
    crashes = (workdir / "crashes.log").read_text().splitlines()
    assert [line.startswith(f"{job} exit code 1 ") for line in crashes] == [True, True]


def stand_in(tmp_path, script):
    """A program that stands for Python: it does what `script` says for each process."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return str(program)


def run_stand_in(slurm, tmp_path, script, *options):
    """Run train.sbatch with it; return its log and the starts that crashes.log counts."""
    workdir = tmp_path / "run"
    job = slurm.submit(
        *options,
        NO_GPUS,
        f"--output={tmp_path}/log",
        SCRIPT,
        f"--workdir={workdir}",
        PYTHON=stand_in(tmp_path, script),
        MAX_CRASHES="1",
    )
    slurm.wait_until(lambda: slurm.state(job) in ("FAILED", "COMPLETED"))
    crashes = workdir / "crashes.log"
    lines = crashes.read_text().splitlines() if crashes.exists() else []
    return (tmp_path / "log").read_text(), [int(line.split()[3]) for line in lines]


def test_a_mistake_of_one_process_is_not_hidden_by_the_end_of_the_others(slurm, tmp_path):
    """srun ends the others with SIGTERM, whose code 143 is the higher one."""
    script = "trap 'exit 143' TERM; [[ $SLURM_PROCID == 1 ]] && exit 2; sleep 60 & wait"
    log, counted = run_stand_in(slurm, tmp_path, script, "--ntasks-per-node=2")
    assert "training ended with exit code 2," in log
    assert counted == []


def test_a_job_that_makes_no_progress_is_not_requeued_for_ever(slurm, tmp_path):
    """One process fails, once the other runs; the other is ended, and has saved nothing."""
    running = tmp_path / "running-$SLURM_RESTART_COUNT"
    script = f"""trap 'exit 143' TERM
if [[ $SLURM_PROCID == 0 ]]; then touch {running}; sleep 60 & wait; fi
until [[ -e {running} ]]; do sleep 0.1; done
exit 3"""
    _, counted = run_stand_in(slurm, tmp_path, script, "--ntasks-per-node=2")
    assert counted == [143, 143]


def test_crashes_are_counted_since_the_job_last_got_further(slurm, tmp_path):
    script = 'codes=(1 75 1 0); exit "${codes[${SLURM_RESTART_COUNT:-0}]}"'
    _, counted = run_stand_in(slurm, tmp_path, script)
    assert counted == [1, 75, 1]


def test_it_asks_for_cores_and_memory(slurm, tmp_path):
    script = 'echo "cores $SLURM_CPUS_PER_TASK memory $SLURM_MEM_PER_CPU"; exit 0'
    log, _ = run_stand_in(slurm, tmp_path, script)
    assert "cores 8 memory 4096" in log


def test_a_mistake_of_the_user_is_not_retried(slurm, tmp_path):
    job = slurm.submit(
        NO_GPUS,
        f"--output={tmp_path}/log",
        SCRIPT,
        f"--workdir={tmp_path}/run",
        "--config=nowhere.py",
        PYTHON=sys.executable,
    )
    slurm.wait_for_state(job, "FAILED")
    log = (tmp_path / "log").read_text()
    assert "there is no such file" in log
    assert "requeueing" not in log


def test_an_array_trains_each_task_in_its_own_folder(slurm, fractals_dir, tmp_path):
    short = options(fractals_dir, tmp_path / "runs", train__steps=2, train__seed="%a")
    job = slurm.submit(
        "--array=0-2%2",
        NO_GPUS,
        f"--output={tmp_path}/log-%a",
        SCRIPT,
        *short,
        PYTHON=sys.executable,
    )
    slurm.wait_for_state(job, "COMPLETED")
    hashes = {result(tmp_path / "runs" / str(seed))["parameters_sha256"] for seed in range(3)}
    assert len(hashes) == 3
    assert lines(tmp_path / "runs" / "1", "train")[-1]["step"] == 2


@pytest.mark.parametrize(("gpus", "accepted"), [(2, True), (3, False)])
def test_the_gpu_options_are_what_slurm_understands(slurm, gpus, accepted):
    """Nodes of two GPUs each; nothing is started."""
    words = [f"--ntasks-per-node={gpus}", f"--gpus-per-node={gpus}", "--nodes=2"]
    done = subprocess.run(
        ["sbatch", "--test-only", *words, SCRIPT, "--workdir=run"],
        cwd=REPOSITORY,
        env=slurm.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode == 0) == accepted, done.stderr
