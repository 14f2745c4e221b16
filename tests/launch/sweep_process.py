"""The sweep command as a process of its own."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
from cluster_runs import environment
from short_run import REPOSITORY, SMALL


@contextmanager
def started(*arguments):
    """Start `python -m launch.sweep` on one CPU device; kill it if the block leaves it running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "launch.sweep", *arguments],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(*arguments):
    """Run it to its end; return the exit code, stdout and stderr."""
    with started(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def small_training(fractals_dir):
    """Return the flags of trials that take seconds."""
    return [
        "--config=configs/demo.py",
        f"--config.data.dir={fractals_dir}",
        *SMALL,
        "--config.checkpoint.every_steps=5",
    ]


def events(root):
    """The (trial, event) pairs of sweep.jsonl, in order."""
    log = root / "sweep.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(line["trial"], line["event"]) for line in map(json.loads, lines)]


def wait_until(what, seconds=300):
    """Wait until `what()` holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)


def processes_of(root):
    """The processes that train for the sweep in `root`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "alexnet_jax.sweeps.trial_run" in command and any(
            argument.startswith(f"--workdir={root}") for argument in command
        ):
            found.append(process.pid)
    return found
