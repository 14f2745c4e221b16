"""What the person who waits for a sweep is told, and what is left in `sweep.jsonl`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet_jax.sweeps.planned_trial import PlannedTrial


@dataclass(frozen=True)
class Failure:
    """How a trial ended without a result.

    Attributes:
        exit_code: of its process; None where that is not known.
        reason: its last words.
    """

    exit_code: int | None
    reason: str

    def __str__(self) -> str:
        return (
            self.reason if self.exit_code is None else f"exit code {self.exit_code}: {self.reason}"
        )


class Reporter:
    """Tells of a sweep's trials as they start and end.

    Lines of sweep.jsonl: {"time", "trial", "event": "started", "finished", "failed",
    "interrupted" or "stopped_early", ...}.
    """

    def __init__(self, root: Path, trials: Sequence[PlannedTrial]) -> None:
        self._log = root / "sweep.jsonl"
        self._numbers = {trial.name: number for number, trial in enumerate(trials, start=1)}
        self._starts: dict[str, float] = {}
        self.failures: dict[str, Failure] = {}

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def started(self, trial: PlannedTrial, devices: str | None = None) -> None:
        """Tell that a trial is running."""
        self._starts[trial.name] = time.monotonic()
        verb = "continues" if (trial.workdir / "checkpoints").exists() else "starts"
        where = "" if devices is None else f" on GPU {devices}"
        self._tell(trial, f"{verb}{where}: tail -f {trial.workdir}/output.txt")
        self._record(trial, "started")

    def finished(self, trial: PlannedTrial) -> None:
        """Tell that a trial has its result."""
        result = trial.result() or {}
        errors = ", ".join(
            f"{what} {result[views]['top1_error']:.2%} / {result[views]['top5_error']:.2%}"
            for views, what in (("center", "centre crop"), ("ten_crop", "ten crops"))
        )
        self._tell(trial, f"finished{self._after(trial)}, top-1 / top-5 error: {errors}")
        self._record(trial, "finished")

    def failed(self, trial: PlannedTrial, failure: Failure) -> None:
        """Tell that a trial has ended without a result, and is not tried again."""
        self.failures[trial.name] = failure
        self._tell(trial, f"failed{self._after(trial)}: {failure}")
        self._record(trial, "failed", reason=str(failure))

    def interrupted(self, trial: PlannedTrial, failure: Failure) -> None:
        """Tell that a trial has ended without a result, and starts again."""
        self._tell(trial, f"ended{self._after(trial)}, and starts again: {failure}")
        self._record(trial, "interrupted", reason=str(failure))

    def stopped_early(self, trial: PlannedTrial, step: int, top1_error: float) -> None:
        """Tell that the scheduler has given a trial up."""
        self._tell(
            trial,
            f"stopped early{self._after(trial)}, after step {step} of {trial.steps}: "
            f"centre crop top-1 error {top1_error:.2%}",
        )
        self._record(trial, "stopped_early", step=step, top1_error=top1_error)

    def _after(self, trial: PlannedTrial) -> str:
        start = self._starts.get(trial.name)
        return "" if start is None else f" after {_duration(time.monotonic() - start)}"

    def _tell(self, trial: PlannedTrial, text: str) -> None:
        self.say(f"[{self._numbers[trial.name]}/{len(self._numbers)}] {trial.name} {text}")

    def _record(self, trial: PlannedTrial, event: str, **details: object) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with self._log.open("a") as log:
            log.write(json.dumps({"time": now, "trial": trial.name, "event": event, **details}))
            log.write("\n")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
