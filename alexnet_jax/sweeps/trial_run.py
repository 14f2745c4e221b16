"""A trial that is ready to run: its command, its folder and its process.

Imports no JAX, because Ray's workers import it. As a program it is alexnet_jax.main that ends with
the sweep that started it.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.ending import SAVED_EXIT_CODE
from alexnet_jax.errors import MachineError

# A trial is one process. Where the sweep is a task of a larger job, it must not join that cluster.
_CLUSTER_VARIABLES = (
    "SLURM_",
    "OMPI_",
    "PMI_",
    "PMIX_",
    "JAX_COORDINATOR_ADDRESS",
    "JAX_NUM_PROCESSES",
    "JAX_PROCESS_ID",
    "JAX_LOCAL_DEVICE_IDS",
)
_ATTEMPTS = 3  # In a row, where the environment of a trial fails.


@dataclass(frozen=True)
class TrialRun:
    """A trial that is ready to run.

    Attributes:
        name: the trial's name.
        workdir: its own folder.
        arguments: those of alexnet_jax.main.
        steps: the number of training steps in total.
    """

    name: str
    workdir: Path
    arguments: tuple[str, ...]
    steps: int

    def start(
        self, devices: str | None = None, folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start training in a process of its own, whose output is added to `output.txt`.

        SIGTERM makes the process save and end.

        Args:
            devices: its CUDA_VISIBLE_DEVICES. None: that of this process.
            folder: its current folder. None: that of this process.
        """
        with (self.workdir / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "alexnet_jax.sweeps.trial_run", *self.arguments],
                stdin=subprocess.PIPE,  # Never written to; see _main.
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=trial_environment(os.environ, devices),
                process_group=0,  # A terminal sends Ctrl-C to the sweep alone, which stops trials.
            )

    def last_output(self) -> str:
        """Return the last line that the trial printed."""
        lines = (self.workdir / "output.txt").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def result(self) -> dict[str, Any] | None:
        """Return `result.json`, or None if the trial has not finished."""
        return read_json(self.workdir / "result.json")

    def saved_step(self) -> int:
        """Return the step of the latest checkpoint; the last step if the trial has finished."""
        if self.result() is not None:
            return self.steps
        saved = (self.workdir / "checkpoints").glob("[0-9]*")
        return max((int(path.name) for path in saved if path.name.isdecimal()), default=0)

    def stopped_early(self) -> bool:
        """Return whether the scheduler has stopped the trial for good."""
        return (self.workdir / "stopped_early.json").exists()


def trial_environment(environment: Mapping[str, str], devices: str | None) -> dict[str, str]:
    """Return the sweep's environment without the cluster's variables, with the trial's devices."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_CLUSTER_VARIABLES)
    }
    return kept if devices is None else kept | {"CUDA_VISIBLE_DEVICES": devices}


class Attempts:
    """Decides by exit codes whether a trial that ended without a result starts again."""

    def __init__(self) -> None:
        self._failed = 0

    def again(self, exit_code: int) -> bool:
        """Return whether to start the trial again after this end."""
        if exit_code == SAVED_EXIT_CODE:  # It was preempted, and has made progress.
            self._failed = 0
            return True
        self._failed += 1
        return exit_code == MachineError.exit_code and self._failed < _ATTEMPTS


def evaluations(workdir: Path) -> Iterator[tuple[int, float]]:
    """Yield the step and the centre crop top-1 error of each evaluation in a trial's log."""
    try:
        lines = (workdir / "metrics.jsonl").read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return
    for text in lines[:-1]:  # The last one is empty or incomplete.
        try:
            line = json.loads(text)
        except ValueError:
            continue  # The run itself reports damaged lines.
        if isinstance(line, dict) and (line.get("kind"), line.get("views")) == ("eval", "center"):
            yield line["step"], line["top1_error"]


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None if the file is missing or damaged."""
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _main() -> None:
    """Run alexnet_jax.main, and kill it when the sweep ends.

    The sweep holds the other end of standard input. The system closes it however the sweep ends,
    kill -9 included. A trial that outlives its sweep would block the next one.
    """

    def end_with_sweep() -> None:
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_sweep, daemon=True).start()
    runpy.run_module("alexnet_jax.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
