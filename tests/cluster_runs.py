"""Runs of several processes, started as any launcher would: with JAX's three variables."""

import json
import os
import socket
import subprocess
import sys
from importlib import metadata

from short_run import FRACTALS, REPOSITORY

TRAIN = ("-m", "alexnet_jax.main")
# Compiled in half of the time; the runs of tests are too short for it to be worth more.
QUICKLY_COMPILED = "--xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1"
if metadata.version("jaxlib").startswith("0.10."):  # Later ones abort at a flag they do not know.
    QUICKLY_COMPILED += " --xla_cpu_use_fusion_emitters=false"


def options(data_dir, workdir, **changed):
    """The options of a run of 16 small steps, a test and a save every 8."""
    values = {
        "data.dir": data_dir,
        "data.name": FRACTALS,
        "data.threads": 1,
        # The same program for runs of any length, compiled once.
        "schedule.name": "constant",
        # A small rate: rounding stays rounding, and is not blown up to another run.
        "schedule.learning_rate": 0.001,
        "train.batch_size": 16,
        "train.steps": 16,
        # With this seed no race in a max pool of the first steps is so close that rounding decides.
        "train.seed": 4,
        "eval.every_steps": 8,
        "eval.batch_size": 24,
        "checkpoint.every_steps": 8,
        "log.every_steps": 1,
        "parallel.initialization_timeout": 60,
        "parallel.heartbeat_timeout": 10,
    } | {name.replace("__", "."): value for name, value in changed.items()}
    overrides = [f"--config.{name}={value}" for name, value in values.items()]
    return ["--config=configs/demo.py", f"--workdir={workdir}", *overrides]


def environment(**variables):
    """One CPU device a process, whatever the tests themselves run on; no proxies to warn of."""
    kept = {name: value for name, value in os.environ.items() if "_proxy" not in name.lower()}
    return kept | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY_COMPILED} | variables


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(arguments, program=TRAIN, **variables):
    """Start one process in the repository."""
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=REPOSITORY,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_together(count, arguments, programs=None, last=()):
    """Start `count` processes that know of each other; `last` are more arguments of the last."""
    address = f"127.0.0.1:{free_port()}"
    return [
        start(
            [*arguments, *(last if number == count - 1 else ())],
            (programs or [TRAIN] * count)[number],
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES=str(count),
            JAX_PROCESS_ID=str(number),
        )
        for number in range(count)
    ]


def finish(processes, timeout=300):
    """Wait for all; return (exit code, stdout, stderr) of each."""
    outputs = [process.communicate(timeout=timeout) for process in processes]
    return [
        (process.returncode, *output) for process, output in zip(processes, outputs, strict=True)
    ]


def lines(workdir, kind):
    """The lines of a kind in metrics.jsonl, without what the clock decides."""
    clocks = ("seconds", "images_per_second", "data_wait_fraction")
    text = (workdir / "metrics.jsonl").read_text().splitlines()
    found = [line for line in map(json.loads, text) if line["kind"] == kind]
    return [{k: v for k, v in line.items() if k not in clocks} for line in found]


def result(workdir):
    return json.loads((workdir / "result.json").read_text())
