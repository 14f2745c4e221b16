"""A trial that is ready to run: its command, its folder and its process.

Imports no JAX, because Ray's workers import it. As a program it is alexnet_jax.main that ends with
the sweep that started it.
"""

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.errors import MachineError
from alexnet_jax.runs.reading import LOG, parse_lines, read_json, saved_steps
from alexnet_jax.system.signals import SAVED_EXIT_CODE

# A trial is one process. Where the sweep is a task of a larger job, it must not join that cluster.
_CLUSTER_VARIABLE = re.compile(
    "(SLURM|OMPI|PMIX?)_|JAX_(COORDINATOR_ADDRESS|NUM_PROCESSES|PROCESS_ID|LOCAL_DEVICE_IDS)"
)
STOPPED_EARLY = "stopped_early.json"  # The scheduler has stopped the trial for good.
_TAIL_BYTES = 4096  # Of metrics.jsonl: a few lines.
_NAMES = {"train": "training", "eval": "validation"}
_ATTEMPTS = 3  # In a row, when the environment of a trial fails.


@dataclass(frozen=True)
class TrialRun:
    """A trial that is ready to run."""

    name: str
    workdir: Path
    arguments: tuple[str, ...]  # Those of alexnet_jax.main.
    steps: int  # The last one.

    def start(self, devices: str | None = None) -> subprocess.Popen[bytes]:
        """Start a process that trains, saves after SIGTERM, and adds its output to `output.txt`.

        `devices` is its CUDA_VISIBLE_DEVICES, None that of this process.
        """
        with (self.workdir / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "alexnet_jax.sweeps.trial_run", *self.arguments],
                stdin=subprocess.PIPE,  # Never written to; see _end_with_sweep.
                stdout=output,
                stderr=subprocess.STDOUT,
                env=trial_environment(os.environ, devices),
                process_group=0,  # A terminal sends Ctrl-C to the sweep alone, which stops trials.
            )

    def explain(self, exit_code: int) -> str:
        """Return why the trial ended: its exit code and the last line that it printed."""
        printed = (self.workdir / "output.txt").read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(printed) if line.strip()), "no output")
        return f"exit code {exit_code}: {last}"

    def result(self) -> dict[str, Any] | None:
        """Return `result.json`, or None if the trial has not finished."""
        return read_json(self.workdir / "result.json")

    def saved_step(self) -> int:
        """Return the step of the latest checkpoint; the last step if the trial has finished."""
        done = self.result() is not None
        return self.steps if done else max(saved_steps(self.workdir), default=0)

    def last_logged(self) -> tuple[int, str]:
        """Return the last step in the log of the trial, and its errors in words."""
        try:
            with (self.workdir / LOG).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                tail = parse_lines(log.read().decode(errors="replace"))
        except FileNotFoundError:
            tail = []
        for line in reversed(tail):
            if line is not None and "top1_error" in line:
                name = _NAMES[line["kind"]]
                return line["step"], f", {name} error {line['top1_error']:.2%}"
        return self.saved_step(), ""

    def ended(self, also: Sequence[str] = ()) -> bool:
        """Return whether there is a result, or one of the files `also`."""
        return self.result() is not None or any((self.workdir / name).exists() for name in also)


def trial_environment(environment: Mapping[str, str], devices: str | None) -> dict[str, str]:
    """Return the sweep's environment without the cluster's variables, with the trial's devices."""
    kept = {name: value for name, value in environment.items() if not _CLUSTER_VARIABLE.match(name)}
    return kept if devices is None else kept | {"CUDA_VISIBLE_DEVICES": devices}


def starts_again(exit_codes: Sequence[int]) -> bool:
    """Return whether a trial that has ended with these exit codes, oldest first, starts again.

    It does after it was preempted and saved, and twice in a row after its environment failed.
    """
    if exit_codes[-1] == SAVED_EXIT_CODE:
        return True
    failed = MachineError.exit_code
    return exit_codes[-1] == failed and list(exit_codes[-_ATTEMPTS:]) != [failed] * _ATTEMPTS


def read_trials(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the folder and the trial.json of each trial of a sweep."""
    read = [(path.parent, read_json(path)) for path in sorted(root.glob("*/trial.json"))]
    return [(workdir, trial) for workdir, trial in read if trial is not None]


def _end_with_sweep() -> None:
    """Kill this process when the sweep ends, because it would block the next sweep.

    The sweep holds the other end of standard input. The system closes it however the sweep ends,
    kill -9 included.
    """
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_sweep, daemon=True).start()
    runpy.run_module("alexnet_jax.main", run_name="__main__", alter_sys=True)
