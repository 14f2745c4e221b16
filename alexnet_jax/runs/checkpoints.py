"""Checkpoints of `TrainState`, with Orbax: the two latest and chosen others are kept."""

import errno
import os
import re
import sys
import time
from collections.abc import Collection, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.parallel.multihost import broadcast_from_process_0, max_over_processes
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.training.preemption import Preempted
from alexnet_jax.training.state import TrainState

_KEPT_LATEST = 2
# Orbax would have each device write a part of a replicated array, and compile a program for each of
# these parts: with eight devices the first save then takes seconds in which none of them trains.
_TYPES = ocp.type_handlers.create_type_handler_registry(
    (jax.Array, ocp.type_handlers.ArrayHandler(use_replica_parallel=False))
)
_PAUSES = (1.0, 4.0, 15.0)  # Seconds before a read that the system refused is tried again.
# Outcomes of a read; in a cluster the largest counts.
_READ, _DAMAGED, _OTHER, _UNAVAILABLE = range(4)
_OS_ERROR = re.compile(r"os_error_code='(\d+)'")  # In TensorStore's messages.


class _DamagedError(Exception):
    """The files do not hold what was saved."""


class _OtherStateError(Exception):
    """What was saved is not the state of this config."""


class Checkpoints:
    """The checkpoints of a workdir, by number of completed steps; a context that closes itself.

    A save returns once the state has left the devices; files are written during training. A
    checkpoint appears under its number only when it is complete, so a kill loses at most the steps
    since the last one. In a cluster all processes must make the same calls.
    """

    def __init__(self, workdir: Path, read_only: bool = False) -> None:
        self._directory = (workdir / "checkpoints").absolute()
        self._read_only = read_only
        self._kept = [policies.LatestN(_KEPT_LATEST), policies.CustomSteps([])]
        self._manager = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # A process of a cluster that fails must not wait here for the others, who wait for it.
        if error is None or isinstance(error, Preempted) or jax.process_count() == 1:
            self.close()

    def steps(self) -> list[int]:
        """Return the steps that are saved, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, keep: Collection[int] = ()) -> None:
        """Save `state` under its step; keep one earlier checkpoint and those in `keep`.

        Raises:
            UserError: the disk is full. Earlier checkpoints are intact.
        """
        step = int(state.step)
        self._kept[1] = policies.CustomSteps(list(keep))
        item = {"state": _fields(state), "fingerprint": wait_on_cpus(_fingerprint(state))}
        with full_disk_reported(self._directory, "a checkpoint"):
            self._manager.save(step, args=ocp.args.PyTreeSave(item), force=True)

    def restore(self, abstract_state: TrainState) -> TrainState | None:
        """Return the latest intact state, or None if there is no checkpoint.

        Damaged checkpoints are reported and moved to `damaged_checkpoints` beside the folder, so
        that their steps can be saved again.

        Raises:
            UserError: there are checkpoints and all are damaged, or one is of another config.
            MachineError: the system refuses to read one; nothing is moved.
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
            UserError: it is damaged, or of another config.
            MachineError: the system refuses to read it.
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
        """Move the checkpoints of `steps` to `folder` beside theirs; replace none there."""
        self.close()
        broadcast_from_process_0(partial(self._move, steps, self._directory.with_name(folder)))
        self._manager = self._open()

    def close(self) -> None:
        """Wait until all files are written.

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
            preservation_policy=policies.AnyPreservationPolicy(self._kept),
            # A reader must not remove the unfinished files of a run that is still writing.
            cleanup_tmp_directories=not self._read_only,
            create=not self._read_only,
        )
        # Orbax would infer the handler from one checkpoint, and misread all of them if a folder of
        # that one is missing.
        handler = ocp.PyTreeCheckpointHandler(type_handler_registry=_TYPES)
        return ocp.CheckpointManager(self._directory, item_handlers=handler, options=options)

    def _read_patiently(self, step: int, abstract_state: TrainState) -> TrainState:
        """Read a checkpoint; pause and retry if the system refuses, or raise _DamagedError."""
        for pause in (*_PAUSES, None):
            state, outcome = None, _READ
            reason = "another process of the cluster cannot read it"
            try:
                state = self._read(step, abstract_state)
            except _OtherStateError as error:
                outcome, reason = _OTHER, str(error)
            except Exception as error:  # noqa: BLE001 Orbax raises bare Exceptions for bad files.
                trouble = describe_trouble(error)
                outcome = _DAMAGED if trouble is None else _UNAVAILABLE
                reason = trouble or " ".join(str(error).split())[:200]
            outcome = largest_of_all(outcome)
            if outcome == _READ and state is not None:
                return state
            if outcome == _DAMAGED:
                raise _DamagedError(reason)
            if outcome == _OTHER:
                raise UserError(
                    f"checkpoint {self._directory / str(step)} is of a run with another network, "
                    f"optimizer or average ({reason}); give the config of the run, or start again "
                    "with another --workdir"
                )
            if pause is not None:
                time.sleep(pause)
        raise MachineError(
            f"checkpoint {self._directory / str(step)} cannot be read now: {reason}, also after "
            f"{len(_PAUSES)} more attempts. Nothing was moved or changed; when that is mended, run "
            "the same command again"
        )

    def _read(self, step: int, abstract_state: TrainState) -> TrainState:
        sharding = abstract_state.step.sharding
        fingerprint = jax.ShapeDtypeStruct((), jnp.uint32, sharding=sharding)
        item = {"state": _fields(abstract_state), "fingerprint": fingerprint}
        try:
            places = ocp.checkpoint_utils.construct_restore_args(item)
            restore = ocp.args.PyTreeRestore(item, restore_args=places)
            saved = self._manager.restore(step, args=restore)
        except ValueError as error:  # So Orbax answers to another tree, and other shapes.
            if different := _differences(self._manager.item_metadata(step), item):
                raise _OtherStateError(different) from error
            raise
        if int(_fingerprint(saved["state"])) != int(saved["fingerprint"]):
            raise ValueError("its numbers are not the ones that were saved")
        return TrainState(**saved["state"])

    def _move(self, steps: Sequence[int], folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for step in steps:
            names = (f"{step}.{number}" if number else f"{step}" for number in count())
            free = next(path for path in map(folder.joinpath, names) if not path.exists())
            (self._directory / str(step)).rename(free)


def largest_of_all(number: int) -> int:
    """Return the maximum of `number` over all processes."""
    return number if jax.process_count() == 1 else int(max_over_processes(number))


def describe_trouble(error: BaseException) -> str | None:
    """Return what kept a file from being read; None if the file itself is damaged.

    A missing file is damage. Other errors of the system (a disk error, no permission, too many open
    files, a lost server) and a lack of memory say nothing about what the file holds.
    """
    # Orbax raises its errors from others, and in groups.
    waiting: list[BaseException | None] = [error]
    seen = set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, MemoryError) or "RESOURCE_EXHAUSTED" in str(one):
            return "not enough memory"
        code = one.errno if isinstance(one, OSError) else None
        if code is None and (found := _OS_ERROR.search(str(one))):
            code = int(found[1])
        if code is not None and code != errno.ENOENT:
            return os.strerror(code)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return None


def _fields(state: TrainState) -> dict[str, Any]:
    """Return the state as it is saved: by name, batch statistics and average only if there are any.

    So that runs without them can read checkpoints from before these fields existed.
    """
    fields = {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
    for name in ("batch_stats", "average"):
        if not fields[name]:
            del fields[name]
    return fields


def _differences(saved: Any, item: dict[str, Any]) -> str:
    """Return where what was saved is not what is to be read, by Orbax's description of it."""

    def shapes(tree: Any) -> dict[str, list[int]]:
        leaves, _ = jax.tree.flatten_with_path(tree)
        return {
            jax.tree_util.keystr(path[1:], simple=True, separator="."): list(leaf.shape)
            for path, leaf in leaves
            if hasattr(leaf, "shape")
        }

    if saved is None:
        return ""  # The description is missing: reading will tell.
    there, wanted = shapes(saved.tree), shapes(item)
    found = [f"{name} is not in it" for name in wanted if name not in there]
    found += [f"its {name} is not in this config's state" for name in there if name not in wanted]
    found += [
        f"{name} is {there[name]} instead of {shape}"
        for name, shape in wanted.items()
        if there.get(name, shape) != shape
    ]
    return found[0] + (f", and {len(found) - 1} more" if found[1:] else "") if found else ""


@jax.jit
def _fingerprint(state: Any) -> jax.Array:
    """Hash all bits of the state to 32.

    Orbax notices files that are cut or missing, but not a flipped bit. Integer sums wrap and do not
    depend on their order. The cost is one read of the state on the devices.
    """

    def fold(leaf: jax.Array) -> jax.Array:
        bits = jax.lax.bitcast_convert_type(leaf, jnp.uint32).ravel()
        weights = jnp.arange(bits.size, dtype=jnp.uint32) * jnp.uint32(2654435761) | jnp.uint32(1)
        return jnp.sum(bits * weights, dtype=jnp.uint32)

    return sum((fold(leaf) for leaf in jax.tree.leaves(state)), start=jnp.uint32(0))
