"""Which checkpoint is meant: the best, the latest, or that of a step."""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from alexnet_jax.config.checks import BEST, LATEST
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.parallel.multihost import broadcast_from_process_0, is_process_0
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.training.checkpoints import Checkpoints
from alexnet_jax.training.divergence import confirmed_step
from alexnet_jax.training.logging import read_log
from alexnet_jax.training.state import TrainState, is_finite


def best_error(
    lines: Sequence[Mapping[str, Any]], steps: Collection[int]
) -> tuple[int, float] | None:
    """Return the step of the lowest top-1 error on the centre crop, and that error.

    Of equal errors the latest step is the best. An error that is not finite never is.

    Args:
        lines: of metrics.jsonl.
        steps: those that count.
    """
    known = _errors(lines, steps)
    if not known:
        return None
    step = min(known, key=lambda step: (known[step], -step))
    return step, known[step]


def unrecorded(lines: Sequence[Mapping[str, Any]], steps: Collection[int]) -> list[int]:
    """Return the steps that the log has no line of, though every save after a step writes one.

    That log was lost, and with it what their checkpoints are worth.
    """
    told = {line["step"] for line in lines}
    return [step for step in steps if step and step not in told]


def worth_keeping(
    lines: Sequence[Mapping[str, Any]], steps: Collection[int], num_classes: int
) -> list[int]:
    """Return the checkpoints to keep besides the latest.

    They are the best, the one that is known to be good, and those that a lost log may have
    called the best.
    """
    best, good = best_error(lines, steps), confirmed_step(lines, steps, num_classes)
    kept = [best[0]] if best else []
    return kept + ([] if good is None else [good]) + unrecorded(lines, steps)


def choose(
    wanted: str | None, steps: Sequence[int], lines: Sequence[Mapping[str, Any]], workdir: Path
) -> tuple[int, str]:
    """Return the step of the checkpoint that is meant, and in words why it is that one.

    Args:
        wanted: "best", "latest" or a step; None: the best if a test says which, else the latest.
        steps: the checkpoints' steps, ascending.
        lines: of metrics.jsonl.
        workdir: for messages.

    Raises:
        UserError: there is no such checkpoint.
    """
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet; train it with alexnet_jax.main")
    best = best_error(lines, steps)
    if wanted == BEST and best is None:
        raise UserError(
            f"{workdir}/metrics.jsonl has no test of the checkpoints that there are, so none is "
            f"the best; give --checkpoint={LATEST}, or one of {_listed(steps)}"
        )
    if wanted in (None, BEST) and best is not None:
        return best[0], _describe_best(best[1], list(_errors(lines, steps)), steps)
    if wanted is None:
        untested = f"metrics.jsonl has no test of {'them' if len(steps) > 1 else 'it'}"
        return steps[-1], f"latest of {_listed(steps)}: {untested}"
    if wanted == LATEST:
        return steps[-1], f"latest of {_listed(steps)}"
    if int(wanted) not in steps:
        raise UserError(f"{workdir} has no checkpoint {wanted}; there are {_listed(steps)}")
    return int(wanted), "as asked for"


def read_chosen(workdir: Path, abstract_state: TrainState, wanted: str | None) -> TrainState:
    """Print which checkpoint of a workdir is meant, and read that one, never another.

    Args:
        workdir: of a run.
        abstract_state: shapes, dtypes and shardings, from `training.state.abstract_state`.
        wanted: as for `choose`.

    Raises:
        UserError: there is no such checkpoint, or it cannot be read.
        NotFiniteError: it holds a number that is not finite.
    """
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:

        def choose_here() -> tuple[int, str]:
            return choose(wanted, checkpoints.steps(), read_log(workdir), workdir)

        step, why = broadcast_from_process_0(choose_here)
        if is_process_0():
            print(f"{workdir}: checkpoint {step} ({why})", flush=True)
        state = checkpoints.read(step, abstract_state)
    if not wait_on_cpus(is_finite(state)):
        raise NotFiniteError(
            f"{workdir}: checkpoint {step} holds numbers that are not finite: give another "
            "--checkpoint"
        )
    return state


def _errors(lines: Sequence[Mapping[str, Any]], steps: Collection[int]) -> dict[int, float]:
    """Return the top-1 errors on the centre crop of `steps`, where there are finite ones."""
    return {
        line["step"]: float(line["top1_error"])
        for line in lines
        if (line["kind"], line.get("views")) == ("eval", "center")
        and line["step"] in steps
        and _is_finite(line.get("top1_error"))
    }


def _describe_best(error: float, tested: Sequence[int], steps: Sequence[int]) -> str:
    text = f"best of {_listed(sorted(tested))}: top-1 error {error:.4f} on the centre crop"
    others = [step for step in steps if step not in tested]
    return f"{text}; without a test: {_listed(others)}" if others else text


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps))
