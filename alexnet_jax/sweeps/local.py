"""Runs trials on this machine, one at a time on each set of GPUs."""

import os
import subprocess
import time
from collections.abc import Collection, Sequence

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.sweeps.trial_run import TrialRun, starts_again
from alexnet_jax.system.progress import Progress
from alexnet_jax.training.preemption import PreemptionGuard

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_COUNTS = 2.0


def run_local(
    trials: Sequence[TrialRun], device_sets: Sequence[str | None], reporter: Reporter
) -> None:
    """Run the trials, one at a time on each of the `device_sets`; None stands for all devices.

    A trial that fails does not stop the others.

    Raises:
        Preempted: SIGTERM or Ctrl-C came; the running trials have saved and ended.
    """
    waiting = list(trials)
    exit_codes: dict[TrialRun, list[int]] = {trial: [] for trial in trials}
    free = list(device_sets)
    running: dict[TrialRun, tuple[subprocess.Popen[bytes], str | None]] = {}
    display = _Display(trials)
    with PreemptionGuard() as stop, display.bar:
        while waiting or running:
            display.show(running)
            while waiting and free:
                trial, devices = waiting.pop(0), free.pop(0)
                running[trial] = trial.start(devices), devices
                reporter.started(trial, devices)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            if stop.received:
                reporter.stopping(len(running))
                for process, _ in running.values():
                    process.terminate()
                for process, _ in running.values():
                    _close(process)
            stop.raise_if_preempted()
            for trial, (process, devices) in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                _close(process)
                del running[trial]
                free.append(devices)
                exit_codes[trial].append(code)
                if code == 0:
                    reporter.finished(trial)
                elif starts_again(exit_codes[trial]):
                    reporter.interrupted(trial, trial.explain(code))
                    waiting.append(trial)
                else:
                    reporter.failed(trial, code, trial.explain(code))


def _close(process: subprocess.Popen[bytes]) -> None:
    """Wait for a trial to end, then close its standard input: a trial ends when that is closed."""
    process.wait()
    with process:
        pass


class _Display:
    """A bar with the steps of all trials, and a line for each running one, on a terminal."""

    def __init__(self, trials: Sequence[TrialRun]) -> None:
        self._steps = {trial: trial.saved_step() for trial in trials}
        total, done = sum(trial.steps for trial in trials), sum(self._steps.values())
        self.bar = Progress("trials", total, "steps", done=done, lines=False)
        self._next = time.monotonic()

    def show(self, running: Collection[TrialRun]) -> None:
        """Show what the logs of the running trials have, every few seconds."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _SECONDS_BETWEEN_COUNTS
        self.bar.notes = []
        for trial in running:
            step, text = trial.last_logged()
            self.bar.advance(step - self._steps[trial])
            self._steps[trial] = step
            self.bar.notes.append(f"{trial.name}: step {step:,} of {trial.steps:,}{text}")


def divide_gpus(visible: Sequence[str], gpus_per_trial: int) -> list[str]:
    """Return sets of `gpus_per_trial` GPUs, each as a CUDA_VISIBLE_DEVICES.

    Raises:
        UserError: there are no GPUs, or some would be left over.
    """
    if not visible:
        raise UserError(
            f"--gpus_per_trial={gpus_per_trial}: no GPU is visible here (CUDA_VISIBLE_DEVICES, "
            "nvidia-smi); without the flag, trials run one at a time on the devices of the machine"
        )
    if len(visible) % gpus_per_trial:
        divisors = [str(n) for n in range(1, len(visible) + 1) if len(visible) % n == 0]
        raise UserError(
            f"--gpus_per_trial={gpus_per_trial} does not divide the {len(visible)} GPUs here; "
            f"{', '.join(divisors)} do"
        )
    return [
        ",".join(visible[first : first + gpus_per_trial])
        for first in range(0, len(visible), gpus_per_trial)
    ]


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []  # No NVIDIA driver here.
    return listed.stdout.split()
