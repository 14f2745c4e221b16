"""A trial's training as a process of its own, so that it has its devices to itself."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from alexnet_jax.errors import MachineError
from alexnet_jax.signals import SAVED_EXIT_CODE

# A trial is one process, also where the sweep is a task of a larger job: it must join no cluster.
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
_OUTPUT = "output.txt"


_TRIES = 3  # Of a trial whose machine fails it, in a row.


class Tries:
    """Decides whether a trial that ended without a result starts again, by its exit code."""

    def __init__(self) -> None:
        self._failed = 0

    def again(self, code: int) -> bool:
        """Say whether to try again after exit code `code`."""
        if code == SAVED_EXIT_CODE:  # It was preempted, and has got further.
            self._failed = 0
            return True
        self._failed += 1
        return code == MachineError.exit_code and self._failed < _TRIES


class TrialProcess:
    """A trial that is training. What it prints is added to `output.txt` in its workdir."""

    def __init__(
        self,
        arguments: Sequence[str],
        workdir: Path,
        devices: str | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            arguments: of alexnet_jax.main.
            workdir: the trial's.
            devices: its CUDA_VISIBLE_DEVICES; None: those of this process.
            folder: where to start it; None: where this process was started.
        """
        self.output = workdir / _OUTPUT
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "alexnet_jax.sweeps.guarded_main", *arguments],
                stdin=subprocess.PIPE,  # Never written to; see guarded_main.
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=trial_environment(os.environ, devices),
                process_group=0,  # Ctrl-C in a terminal is for the sweep, which passes it on once.
            )

    def poll(self) -> int | None:
        """Return the exit code, None while it is running."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to save and end."""
        self._process.terminate()

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        return self._process.wait()

    def kill(self) -> None:
        """End it at once; it goes on from its last checkpoint another time."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Return the last line that it printed."""
        lines = self.output.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def trial_environment(environment: Mapping[str, str], devices: str | None) -> dict[str, str]:
    """Return a trial's environment: that of the sweep, less the cluster, with its own devices."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_CLUSTER_VARIABLES)
    }
    return kept if devices is None else kept | {"CUDA_VISIBLE_DEVICES": devices}
