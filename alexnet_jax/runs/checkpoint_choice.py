"""Choice of checkpoints: the best, the latest, a known good one; and which ones to keep."""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

from alexnet_jax.config.checks import BEST, LATEST
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.parallel.multihost import broadcast_from_process_0, is_process_0
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.runs.reading import evaluations, has_numbers, read_log
from alexnet_jax.training.state import TrainState, is_finite

_Lines = Sequence[Mapping[str, Any]]  # Of metrics.jsonl.


def center_errors(lines: _Lines, steps: Collection[int]) -> dict[int, float]:
    """Return the finite top-1 errors on the center crop of `steps`, by step."""
    return {
        line["step"]: float(line["top1_error"])
        for line in evaluations(lines, "center")
        if line["step"] in steps and has_numbers(line, ["top1_error"])
    }


def best_step(errors: Mapping[int, float]) -> int | None:
    """Return the step of the lowest error, of equal errors the latest; None without errors."""
    return min(errors, key=lambda step: (errors[step], -step), default=None)


def blow_up_limit(means: Collection[float], num_classes: int) -> float:
    """Return the loss above which training has blown up.

    It is half of ln(classes), the loss of guessing, above the lowest logged mean or ln(classes),
    whichever is lower.
    """
    guessing = math.log(num_classes)
    return min([guessing, *means]) + guessing / 2


def confirmed_step(
    lines: _Lines,
    steps: Collection[int],
    num_classes: int,
    losses: Mapping[int, float] | None = None,
) -> int | None:
    """Return the latest checkpoint that a later loss, which has not blown up, shows to be good.

    The loss of step s + 1 is computed with the parameters saved at s. A logged mean counts like a
    loss, because no window of the log spans a save. `losses` are more of them, by step.
    """
    means = {
        line["step"]: line["loss"] for line in lines if line["kind"] == "train" and "loss" in line
    }
    limit = blow_up_limit(means.values(), num_classes)
    good = [step for step, loss in (means | dict(losses or {})).items() if loss <= limit]
    return max((step for step in steps if step < max(good, default=0)), default=None)


def unrecorded(lines: _Lines, steps: Collection[int]) -> list[int]:
    """Return the steps whose log was lost: every save after a step writes a line."""
    recorded = {line["step"] for line in lines}
    return [step for step in steps if step and step not in recorded]


def worth_keeping(lines: _Lines, steps: Collection[int], num_classes: int) -> list[int]:
    """Return the checkpoints to keep besides the latest.

    They are the best, the one that is known to be good, and those whose log was lost, because one
    of them may be the best.
    """
    chosen = [best_step(center_errors(lines, steps)), confirmed_step(lines, steps, num_classes)]
    return [step for step in chosen if step is not None] + unrecorded(lines, steps)


def choose(
    wanted: str | None, steps: Sequence[int], lines: _Lines, workdir: Path
) -> tuple[int, str]:
    """Return the step of the chosen checkpoint, and the reason in words.

    `steps` are ascending; `wanted` is "best", "latest" or one of them, None for the best, or the
    latest without evaluations. Raises UserError if there is no such checkpoint.
    """
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet; train it with alexnet_jax.main")
    errors = center_errors(lines, steps)
    best = best_step(errors)
    if wanted == BEST and best is None:
        raise UserError(
            f"{workdir}/metrics.jsonl has no evaluation of the existing checkpoints, so none is "
            f"the best; give --checkpoint={LATEST}, or one of {_join(steps)}"
        )
    if wanted in (None, BEST) and best is not None:
        text = f"best of {_join(sorted(errors))}: top-1 error {errors[best]:.2%} on the center crop"
        others = [step for step in steps if step not in errors]
        return best, f"{text}; not evaluated: {_join(others)}" if others else text
    if wanted is None:
        them = "them" if len(steps) > 1 else "it"
        return steps[-1], f"latest of {_join(steps)}: metrics.jsonl has no evaluation of {them}"
    if wanted == LATEST:
        return steps[-1], f"latest of {_join(steps)}"
    if int(wanted) not in steps:
        raise UserError(f"{workdir} has no checkpoint {wanted}; there are {_join(steps)}")
    return int(wanted), "as requested"


def read_chosen(
    workdir: Path, abstract_state: TrainState, wanted: str | None, notes: TextIO | None = None
) -> TrainState:
    """Print to `notes` which checkpoint of a workdir is chosen, and read that one, never another.

    Raises:
        UserError: there is no such checkpoint, or it cannot be read.
        NotFiniteError: it holds a number that is not finite.
    """
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:
        step, why = broadcast_from_process_0(
            lambda: choose(wanted, checkpoints.steps(), read_log(workdir), workdir)
        )
        if is_process_0():
            print(f"{workdir}: checkpoint {step} ({why})", file=notes, flush=True)
        state = checkpoints.read(step, abstract_state)
    if not wait_on_cpus(is_finite(state)):
        raise NotFiniteError(
            f"{workdir}: checkpoint {step} holds numbers that are not finite: give another "
            "--checkpoint"
        )
    return state


def _join(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps))
