"""Traces of training steps for TensorBoard's profile page or xprof: `--profile=START:STOP`."""

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import jax

from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class ProfiledSteps:
    """The steps to trace: those that start with `start` to `stop - 1` steps completed."""

    start: int
    stop: int

    def check(self, completed: int, total: int) -> None:
        """Raise UserError unless a run that continues from `completed` takes all these steps."""
        if not completed <= self.start < self.stop <= total:
            raise UserError(
                f"--profile={self.start}:{self.stop} is outside the steps that are left, "
                f"{completed}:{total}"
            )


def parse_profiled_steps(text: str) -> ProfiledSteps | None:
    """Parse "100:110", ten steps; None for no text, UserError for anything else."""
    if not text:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError(
            f"--profile={text} should be START:STOP, two numbers of completed steps, the first "
            "the smaller, e.g. 100:110"
        )
    return ProfiledSteps(int(match[1]), int(match[2]))


class Profiler(ExitStack):
    """Context that starts and stops the trace of a run."""

    def __init__(self, steps: ProfiledSteps | None, workdir: Path) -> None:
        super().__init__()
        self._steps, self._folder = steps, workdir / "profile"

    def reach(self, step: int, results: object) -> None:
        """Start or stop the trace if that is due once `results`, of `step` steps, are computed."""
        if self._steps is not None and step in (self._steps.start, self._steps.stop):
            jax.block_until_ready(results)
            if step == self._steps.start:
                jax.profiler.start_trace(self._folder)
                self.callback(jax.profiler.stop_trace)
            else:
                self.close()
