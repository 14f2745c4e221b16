"""Saving and continuing: Orbax checkpoints of `TrainState`, the two latest and the best."""

import shutil
import sys
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.agreement import from_first, true_everywhere
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.training.interruption import Interrupted
from alexnet_jax.training.state import TrainState

_KEPT_LATEST = 2


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
        if error is None or isinstance(error, Interrupted) or jax.process_count() == 1:
            self.close()

    def steps(self) -> list[int]:
        """Return the steps that are saved, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, top1_error: float | None = None) -> None:
        """Save `state` under its step; `top1_error` lets it compete for the best.

        Raises:
            UserError: the disk is full. Earlier checkpoints are intact.
        """
        step = int(state.step)
        metrics = None if top1_error is None else {"top1_error": top1_error}
        item = {"state": _fields(state), "fingerprint": wait_on_cpus(_fingerprint(state))}
        with full_disk_reported(self._directory, "a checkpoint"):
            self._manager.save(step, args=ocp.args.StandardSave(item), metrics=metrics, force=True)

    def restore(self, description: TrainState) -> TrainState | None:
        """Return the latest state that can be read whole, or None where nothing was ever saved.

        A damaged checkpoint is reported and moved to `checkpoints/../damaged_checkpoints`, so that
        its step can be saved anew.

        Args:
            description: shapes, dtypes and shardings, from `abstract_state`.

        Raises:
            UserError: there are checkpoints and none can be read.
        """
        failures: dict[int, str] = {}
        for step in from_first(lambda: self.steps()[::-1]):
            state = None
            try:
                state = self._read(step, description)
            except Exception as error:  # noqa: BLE001 Orbax raises bare Exceptions for bad files.
                failures[step] = " ".join(str(error).split())[:200]
                print(
                    f"warning: checkpoint {step} cannot be read, trying the one before: "
                    f"{failures[step]}",
                    file=sys.stderr,
                )
            if true_everywhere(state is not None):
                self._set_aside(failures)
                return state
            failures.setdefault(step, "another process of the cluster cannot read it")
        if failures:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in failures.items())
            raise UserError(
                f"none of the checkpoints in {self._directory} can be read ({reasons}); restore "
                "the folder from a copy, or start again with another --workdir"
            )
        return None

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
        best = policies.BestN(
            get_metric_fn=lambda metrics: -metrics["top1_error"],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            # Not `max_to_keep` with `best_fn`: that deletes the latest where it is not the best.
            preservation_policy=policies.AnyPreservationPolicy(
                [policies.LatestN(_KEPT_LATEST), best]
            ),
            # Not where others only look: the run that writes may be on its way.
            cleanup_tmp_directories=not self._read_only,
            create=not self._read_only,
        )
        # Not left for Orbax to find out: it would look at one checkpoint, and where a folder is
        # missing from that, misread all the others too.
        handler = ocp.StandardCheckpointHandler()
        return ocp.CheckpointManager(self._directory, item_handlers=handler, options=options)

    def _read(self, step: int, description: TrainState) -> TrainState:
        sharding = description.step.sharding
        fingerprint = jax.ShapeDtypeStruct((), jnp.uint32, sharding=sharding)
        item = {"state": _fields(description), "fingerprint": fingerprint}
        saved = self._manager.restore(step, args=ocp.args.StandardRestore(item))
        if int(_fingerprint(saved["state"])) != int(saved["fingerprint"]):
            raise ValueError("its numbers are not the ones that were saved")
        return TrainState(**saved["state"])

    def _set_aside(self, failures: dict[int, str]) -> None:
        if not failures or self._read_only:
            return
        self._manager.close()
        from_first(partial(self._move_aside, list(failures)))
        self._manager = self._open()

    def _move_aside(self, steps: list[int]) -> None:
        aside = self._directory.with_name("damaged_checkpoints")
        aside.mkdir(exist_ok=True)
        for step in steps:
            shutil.rmtree(aside / str(step), ignore_errors=True)
            (self._directory / str(step)).rename(aside / str(step))


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
