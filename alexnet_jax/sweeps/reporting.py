"""Reports the progress of a sweep on the console and in `sweep.jsonl`."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from alexnet_jax.sweeps.trial_run import TrialRun
from alexnet_jax.system.progress import clock


class Reporter:
    """Prints what happens to the trials, and adds it to sweep.jsonl.

    Lines of sweep.jsonl: {"time", "trial", "event": "started", "finished", "failed",
    "interrupted" or "stopped_early", ...}. `failures` has the exit code, None if unknown, and the
    reason of each trial that failed.
    """

    def __init__(self, root: Path, trials: Sequence[TrialRun]) -> None:
        self._log = root / "sweep.jsonl"
        self._numbers = {trial.name: number for number, trial in enumerate(trials, start=1)}
        self._starts: dict[str, float] = {}
        self.failures: dict[str, tuple[int | None, str]] = {}

    def started(self, trial: TrialRun, devices: str | None = None) -> None:
        """Report that a trial is running."""
        verb = "continues" if (trial.workdir / "checkpoints").exists() else "starts"
        where = "" if devices is None else f" on GPU {devices}"
        self._report(trial, "started", f"{verb}{where}: tail -f {trial.workdir}/output.txt")
        self._starts[trial.name] = time.monotonic()

    def stopping(self, running: int) -> None:
        """Report a stop signal."""
        print(f"stopping {running} trial(s), which save first ...", flush=True)

    def finished(self, trial: TrialRun) -> None:
        """Report that a trial has its result."""
        result = trial.result() or {}
        errors = [
            f"{what} {result[views]['top1_error']:.2%} / {result[views]['top5_error']:.2%}"
            for views, what in (("center", "center crop"), ("ten_crop", "ten crops"))
        ]
        self._report(trial, "finished", f"finished, top-1 / top-5 error: {', '.join(errors)}")

    def interrupted(self, trial: TrialRun, reason: str) -> None:
        """Report that a trial has ended without a result, and will start again."""
        self._report(trial, "interrupted", f"ended and will start again: {reason}", reason=reason)

    def failed(self, trial: TrialRun, exit_code: int | None, reason: str) -> None:
        """Report that a trial has ended without a result, and does not start again."""
        self.failures[trial.name] = exit_code, reason
        self._report(trial, "failed", f"failed: {reason}", reason=reason)

    def stopped_early(self, trial: TrialRun, step: int, top1_error: float) -> None:
        """Report that the scheduler has stopped a trial."""
        text = f"stopped early after step {step} of {trial.steps}: center crop top-1 error "
        details = {"step": step, "top1_error": top1_error}
        self._report(trial, "stopped_early", f"{text}{top1_error:.2%}", **details)

    def _report(self, trial: TrialRun, event: str, text: str, **details: object) -> None:
        start = self._starts.pop(trial.name, None)
        if start is not None:
            text += f" ({clock(time.monotonic() - start)})"
        number = f"[{self._numbers[trial.name]}/{len(self._numbers)}]"
        print(f"{number} {trial.name} {text}", flush=True)
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = {"time": now, "trial": trial.name, "event": event, **details}
        with self._log.open("a") as log:
            log.write(json.dumps(line) + "\n")
