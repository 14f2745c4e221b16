"""A trace of some steps, for TensorBoard's profile page or xprof: `--profile=START:STOP`."""

import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import jax

from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class ProfiledSteps:
    """Which steps are traced: those that begin with `start` to `stop - 1` steps completed."""

    start: int
    stop: int

    def check(self, completed: int, total: int) -> None:
        """Raise UserError unless a run that goes on after `completed` steps takes all of them."""
        if not completed <= self.start < self.stop <= total:
            raise UserError(
                f"--profile={self.start}:{self.stop} lies outside the steps that are left, "
                f"{completed}:{total}"
            )


def parse_profiled_steps(text: str) -> ProfiledSteps | None:
    """Read "100:110", ten steps; None for no text, UserError for anything else."""
    if not text:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError(
            f"--profile={text} should be START:STOP, two numbers of completed steps, the first "
            "the smaller, e.g. 100:110"
        )
    return ProfiledSteps(int(match[1]), int(match[2]))


class Profiler:
    """Starts and stops the trace; leaving its context ends one that is still going."""

    def __init__(self, steps: ProfiledSteps | None, workdir: Path) -> None:
        self._steps = steps
        self._folder = workdir / "profile"
        self._tracing = False

    def reach(self, step: int, results: object) -> None:
        """Say that `step` steps have been started; their last `results` may be on their way."""
        if self._steps is None:
            return
        if step == self._steps.start:
            jax.block_until_ready(results)
            jax.profiler.start_trace(self._folder)
            self._tracing = True
        elif step == self._steps.stop:
            jax.block_until_ready(results)
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
