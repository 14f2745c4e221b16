"""The processes of `prepare`: none outlives it, and one that is killed is one line."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from short_run import REPOSITORY

pytestmark = pytest.mark.slow

# Draws in two processes until somebody ends it.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored in a shell's background jobs.
from alexnet_jax import prepare
from alexnet_jax import cli
from alexnet_jax.data.builders import fractals
fractals.usable_cores = lambda: 2
cli.run(prepare.main, required=["dataset"])
"""


@pytest.fixture
def preparing(tmp_path):
    """A prepare of many images, and its two workers, which draw."""
    arguments = ["--dataset=fractals", "--images_per_class=20000", f"--data_dir={tmp_path}"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        yield process, wait_for_workers(process)
        process.kill()


def wait_for_workers(process):
    for _ in range(1200):
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if len(workers) == 2 and all(worker.cpu_times().user > 0.5 for worker in workers):
            return workers
        time.sleep(0.05)
    raise AssertionError("its workers never came")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_it(preparing, number):
    process, workers = preparing
    process.send_signal(number)
    process.wait(timeout=300)
    _, alive = psutil.wait_procs(workers, timeout=300)
    assert alive == []


def test_ctrl_c_ends_it_in_one_line(preparing):
    process, workers = preparing
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (130, "stopped by SIGINT\n")
    assert psutil.wait_procs(workers, timeout=300)[1] == []


def test_a_killed_worker_is_one_line(preparing):
    process, workers = preparing
    workers[0].kill()
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.count("\n")) == (3, 1), err
    assert "a process that draws images was killed" in err
