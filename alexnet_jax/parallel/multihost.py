"""Small cross-process collectives; no-ops in one process."""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import MachineError, UserError, explain_os_error

_Value = TypeVar("_Value")
_AXIS = "device"


def is_process_0() -> bool:
    """Return whether this is the process that writes shared files and messages."""
    return jax.process_index() == 0


def broadcast_from_process_0(compute: Callable[[], _Value]) -> _Value:
    """Run `compute`, whose result JSON can hold, on process 0; return its result on all.

    Raises:
        UserError: `compute` raised it, or OSError; all processes raise.
    """
    if jax.process_count() == 1:
        return compute()
    message: dict[str, Any] = {}
    if is_process_0():
        try:
            message["value"] = compute()
        except (UserError, OSError) as error:
            message = _describe(error)
    message = _gather(message)[0]
    _raise(message)
    return message["value"]


def fail_together(check: Callable[[], object]) -> None:
    """Run `check` on every process; if it fails on one, raise there what all raise.

    The others would wait in the next collective for the one that has ended.

    Raises:
        UserError: `check` raised it, or OSError, somewhere.
    """
    message: dict[str, Any] = {}
    try:
        check()
    except (UserError, OSError) as error:
        message = _describe(error)
    for each in _gather(message):
        _raise(each)


def _describe(error: UserError | OSError) -> dict[str, Any]:
    failure = error if isinstance(error, UserError) else explain_os_error(error)
    return {"error": str(failure), "exit_code": failure.exit_code}


def _raise(message: Mapping[str, Any]) -> None:
    if "error" in message:
        environment = message["exit_code"] == MachineError.exit_code
        raise (MachineError if environment else UserError)(message["error"])


def check_same_on_all_processes(values: Mapping[str, Any]) -> None:
    """Raise UserError, on all processes, if their values (by name, as JSON) differ."""
    everywhere = _gather(dict(values))
    for number, others in enumerate(everywhere):
        differing = sorted(
            f"{name}: {everywhere[0].get(name)!r}, {others.get(name)!r}"
            for name in everywhere[0].keys() | others.keys()
            if everywhere[0].get(name) != others.get(name)
        )
        if differing:
            raise UserError(
                f"processes 0 and {number} were not started alike ({'; '.join(differing)}); give "
                "all processes the same config and data"
            )


def check_cluster(processes: int | None, devices: int | None) -> None:
    """Raise UserError unless the number of processes, and of devices in total, is as expected.

    None stands for any number.
    """
    if processes is not None and jax.process_count() != processes:
        raise UserError(
            f"{jax.process_count()} process(es) joined; config.parallel.processes expects "
            f"{processes}. Usual causes: each process was started alone, without srun or mpirun, "
            "or the JAX_* variables did not reach it (docs/clusters.md)"
        )
    found = f"{jax.device_count()} device(s) ({jax.default_backend()})"
    if devices is not None and jax.device_count() != devices:
        raise UserError(
            f"{jax.process_count()} process(es) see {found}; config.parallel.devices expects "
            f"{devices}. Usual causes: GPUs hidden by --gpus-per-task or CUDA_VISIBLE_DEVICES, or "
            'JAX without its GPU or TPU part (pip install "jax[cuda13]")'
        )
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    unused = gpus not in ("", "-1", "NoDevFiles") and jax.default_backend() == "cpu"
    if unused and jax.process_count() > 1 and "JAX_PLATFORMS" not in os.environ:
        raise UserError(
            f"this process was given GPUs (CUDA_VISIBLE_DEVICES={gpus}) but JAX found only "
            f'{found}: install "jax[cuda13]", or set JAX_PLATFORMS=cpu if that is meant'
        )


def max_over_processes(number: int) -> jax.Array:
    """Return the maximum of `number` over all processes, without blocking.

    Every process must call it equally often, in the same order among its other computations.
    """
    sharding, largest = _reduction()
    mine = np.full(jax.local_device_count(), number, np.int32)
    return largest(jax.make_array_from_process_local_data(sharding, mine))


@cache
def _reduction() -> tuple[NamedSharding, Callable[[jax.Array], jax.Array]]:
    mesh = jax.make_mesh((jax.device_count(),), (_AXIS,), axis_types=(AxisType.Auto,))
    whole = NamedSharding(mesh, P())
    return NamedSharding(mesh, P(_AXIS)), jax.jit(jnp.max, out_shardings=whole)


def _gather(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of all processes, by process ID."""
    if jax.process_count() == 1:
        return [message]
    text = np.frombuffer(json.dumps(message).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.int32(len(text))).ravel()
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]
