"""Reports the progress of a sweep on the console and in `sweep.jsonl`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from alexnet_jax.sweeps.trial_run import TrialRun


@dataclass(frozen=True)
class Failure:
    """The end of a trial without a result: its exit code, None if unknown, and the reason."""

    exit_code: int | None
    reason: str

    def __str__(self) -> str:
        code = "" if self.exit_code is None else f"exit code {self.exit_code}: "
        return f"{code}{self.reason}"


class Reporter:
    """Prints what happens to the trials, and adds it to sweep.jsonl.

    Lines of sweep.jsonl: {"time", "trial", "event": "started", "finished", "failed",
    "interrupted" or "stopped_early", ...}.
    """

    def __init__(self, root: Path, trials: Sequence[TrialRun]) -> None:
        self._log = root / "sweep.jsonl"
        self._numbers = {trial.name: number for number, trial in enumerate(trials, start=1)}
        self._starts: dict[str, float] = {}
        self.failures: dict[str, Failure] = {}

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def started(self, trial: TrialRun, devices: str | None = None) -> None:
        """Report that a trial is running."""
        verb = "continues" if (trial.workdir / "checkpoints").exists() else "starts"
        where = "" if devices is None else f" on GPU {devices}"
        self._report(trial, "started", f"{verb}{where}: tail -f {trial.workdir}/output.txt")
        self._starts[trial.name] = time.monotonic()

    def finished(self, trial: TrialRun) -> None:
        """Report that a trial has its result."""
        result = trial.result() or {}
        errors = ", ".join(
            f"{what} {result[views]['top1_error']:.2%} / {result[views]['top5_error']:.2%}"
            for views, what in (("center", "centre crop"), ("ten_crop", "ten crops"))
        )
        self._report(trial, "finished", f"finished, top-1 / top-5 error: {errors}")

    def failed(self, trial: TrialRun, failure: Failure) -> None:
        """Report that a trial has ended without a result, and does not start again."""
        self.failures[trial.name] = failure
        self._report(trial, "failed", f"failed: {failure}", reason=str(failure))

    def interrupted(self, trial: TrialRun, failure: Failure) -> None:
        """Report that a trial has ended without a result, and starts again."""
        text = f"ended and starts again: {failure}"
        self._report(trial, "interrupted", text, reason=str(failure))

    def stopped_early(self, trial: TrialRun, step: int, top1_error: float) -> None:
        """Report that the scheduler has stopped a trial."""
        where = f"after step {step} of {trial.steps}"
        text = f"stopped early {where}: centre crop top-1 error {top1_error:.2%}"
        self._report(trial, "stopped_early", text, step=step, top1_error=top1_error)

    def _report(self, trial: TrialRun, event: str, text: str, **details: object) -> None:
        start = self._starts.pop(trial.name, None)
        if start is not None:
            text += f" ({tqdm.format_interval(time.monotonic() - start)})"
        self.say(f"[{self._numbers[trial.name]}/{len(self._numbers)}] {trial.name} {text}")
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with self._log.open("a") as log:
            log.write(json.dumps({"time": now, "trial": trial.name, "event": event, **details}))
            log.write("\n")
