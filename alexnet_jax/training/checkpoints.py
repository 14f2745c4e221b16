"""Saving and continuing: Orbax checkpoints of `TrainState`, the two latest and chosen others."""

import sys
import time
from collections.abc import Collection, Sequence
from enum import IntEnum
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies
from orbax.checkpoint.checkpoint_managers import PolicyCheckpointInfo

from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.parallel.multihost import broadcast_from_process_0, largest_of_all
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.training.preemption import Preempted
from alexnet_jax.training.read_trouble import describe_trouble
from alexnet_jax.training.state import TrainState

_KEPT_LATEST = 2
_PAUSES = (1.0, 4.0, 15.0)  # Seconds before a read that the system refused is tried again.


class _Outcome(IntEnum):
    """How a read went; in a cluster the largest of all counts."""

    READ = 0
    DAMAGED = 1
    UNAVAILABLE = 2


class _DamagedError(Exception):
    """What is there is not what was saved."""


class _Chosen(policies.PreservationPolicy):
    """Keeps the checkpoints of the steps that it is given."""

    steps: frozenset[int] = frozenset()

    def should_preserve(
        self,
        checkpoints: Sequence[PolicyCheckpointInfo],
        *,
        context: policies.PreservationContext,
    ) -> list[bool]:
        return [checkpoint.step in self.steps for checkpoint in checkpoints]


class Checkpoints:
    """The checkpoints of a workdir, by number of completed steps.

    A save returns once the state has left the devices; files are written behind the training. A
    checkpoint appears under its number only when it is whole, so a kill at any moment costs at
    most the steps since the last one.

    As a context it closes itself. In a cluster all processes must do the same with it.
    """

    def __init__(self, workdir: Path, read_only: bool = False) -> None:
        self._directory = (workdir / "checkpoints").absolute()
        self._read_only = read_only
        self._chosen = _Chosen()
        self._manager = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A process of a cluster that fails must not wait here for the others, who wait for it.
        if error is None or isinstance(error, Preempted) or jax.process_count() == 1:
            self.close()

    def steps(self) -> list[int]:
        """Return the steps that are saved, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, keep: Collection[int] = ()) -> None:
        """Save `state` under its step.

        Of the checkpoints before, one other and those of the steps in `keep` stay. What a
        checkpoint is worth is often known only later, so nothing of it is stored with it: whoever
        saves says anew each time which are worth keeping.

        Raises:
            UserError: the disk is full. Earlier checkpoints are intact.
        """
        step = int(state.step)
        self._chosen.steps = frozenset(keep)
        item = {"state": _fields(state), "fingerprint": wait_on_cpus(_fingerprint(state))}
        with full_disk_reported(self._directory, "a checkpoint"):
            self._manager.save(step, args=ocp.args.StandardSave(item), force=True)

    def restore(self, abstract_state: TrainState) -> TrainState | None:
        """Return the latest state that can be read whole, or None where nothing was ever saved.

        A damaged checkpoint is reported and moved to `checkpoints/../damaged_checkpoints`, so that
        its step can be saved anew.

        Args:
            abstract_state: shapes, dtypes and shardings, from `training.state.abstract_state`.

        Raises:
            UserError: there are checkpoints and all are damaged.
            MachineError: the system does not let one be read; then nothing is moved.
        """
        damages: dict[int, str] = {}
        for step in broadcast_from_process_0(lambda: self.steps()[::-1]):
            try:
                state = self._read_patiently(step, abstract_state)
            except _DamagedError as damage:
                damages[step] = str(damage)
                print(
                    f"warning: checkpoint {step} cannot be read, trying the one before: {damage}",
                    file=sys.stderr,
                )
                continue
            if damages:
                self.set_aside(list(damages), "damaged_checkpoints")
            return state
        if damages:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in damages.items())
            raise UserError(
                f"none of the checkpoints in {self._directory} can be read ({reasons}); restore "
                "the folder from a copy, or start again with another --workdir"
            )
        return None

    def read(self, step: int, abstract_state: TrainState) -> TrainState:
        """Return the state that was saved at `step`.

        Raises:
            UserError: it is damaged.
            MachineError: the system does not let it be read.
        """
        try:
            return self._read_patiently(step, abstract_state)
        except _DamagedError as damage:
            others = ", ".join(str(other) for other in self.steps() if other != step)
            raise UserError(
                f"checkpoint {step} in {self._directory} is damaged ({damage}); "
                + (f"--checkpoint can name another: {others}" if others else "it is the only one")
            ) from damage

    def set_aside(self, steps: Sequence[int], folder: str) -> None:
        """Move the checkpoints of `steps` to `folder` beside theirs; nothing there is replaced."""
        self.close()
        broadcast_from_process_0(partial(self._move, steps, self._directory.with_name(folder)))
        self._manager = self._open()

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            UserError: the disk is full. Earlier checkpoints are intact.
        """
        try:
            with full_disk_reported(self._directory, "a checkpoint"):
                self._manager.wait_until_finished()
        finally:
            self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(
                [policies.LatestN(_KEPT_LATEST), self._chosen]
            ),
            # Not where others only look: the run that writes may be on its way.
            cleanup_tmp_directories=not self._read_only,
            create=not self._read_only,
        )
        # Not left for Orbax to find out: it would look at one checkpoint, and where a folder is
        # missing from that, misread all the others too.
        handler = ocp.StandardCheckpointHandler()
        return ocp.CheckpointManager(self._directory, item_handlers=handler, options=options)

    def _read_patiently(self, step: int, abstract_state: TrainState) -> TrainState:
        """Read a checkpoint, again after a pause where the system does not let it be read.

        Raises:
            _DamagedError: what is there is not what was saved.
            MachineError: the system did not let it be read.
        """
        for pause in (*_PAUSES, None):
            outcome, state, reason = self._try_to_read(step, abstract_state)
            # What one process of a cluster cannot read, none uses.
            outcome = _Outcome(largest_of_all(outcome))
            if outcome is _Outcome.READ and state is not None:
                return state
            if outcome is _Outcome.DAMAGED:
                raise _DamagedError(reason)
            if pause is not None:
                time.sleep(pause)
        raise MachineError(
            f"checkpoint {self._directory / str(step)} cannot be read now: {reason}, also after "
            f"{len(_PAUSES)} more attempts. Nothing was moved or changed; when that is mended, run "
            "the same command again"
        )

    def _try_to_read(
        self, step: int, abstract_state: TrainState
    ) -> tuple[_Outcome, TrainState | None, str]:
        """Return how a read went, the state if it went well, what was wrong if not."""
        try:
            state = self._read(step, abstract_state)
        except Exception as error:  # noqa: BLE001 Orbax raises bare Exceptions for bad files.
            trouble = describe_trouble(error)
            if trouble is not None:
                return _Outcome.UNAVAILABLE, None, trouble
            return _Outcome.DAMAGED, None, " ".join(str(error).split())[:200]
        return _Outcome.READ, state, "another process of the cluster cannot read it"

    def _read(self, step: int, abstract_state: TrainState) -> TrainState:
        sharding = abstract_state.step.sharding
        fingerprint = jax.ShapeDtypeStruct((), jnp.uint32, sharding=sharding)
        item = {"state": _fields(abstract_state), "fingerprint": fingerprint}
        saved = self._manager.restore(step, args=ocp.args.StandardRestore(item))
        if int(_fingerprint(saved["state"])) != int(saved["fingerprint"]):
            raise ValueError("its numbers are not the ones that were saved")
        return TrainState(**saved["state"])

    def _move(self, steps: Sequence[int], folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for step in steps:
            names = (f"{step}.{number}" if number else f"{step}" for number in count())
            free = next(path for path in map(folder.joinpath, names) if not path.exists())
            (self._directory / str(step)).rename(free)


def _fields(state: TrainState) -> dict[str, Any]:
    """Return the state as it is saved: by name, statistics only where there are any.

    So a network without batch normalisation goes on from checkpoints of before there was any.
    """
    fields = {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
    if not state.batch_stats:
        del fields["batch_stats"]
    return fields


@jax.jit
def _fingerprint(state: Any) -> jax.Array:
    """Fold all bits of the state into 32: a byte that rots on disk changes them.

    Orbax notices files that are cut or missing, but not a flipped bit. On the devices this costs
    one read of the state. Integer sums wrap and do not depend on their order.
    """

    def fold(leaf: jax.Array) -> jax.Array:
        bits = jax.lax.bitcast_convert_type(leaf, jnp.uint32).ravel()
        weights = jnp.arange(bits.size, dtype=jnp.uint32) * jnp.uint32(2654435761) | jnp.uint32(1)
        return jnp.sum(bits * weights, dtype=jnp.uint32)

    return sum((fold(leaf) for leaf in jax.tree.leaves(state)), start=jnp.uint32(0))
