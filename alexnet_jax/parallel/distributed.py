"""Joining a cluster, and leaving it so that nobody waits for a process that is gone."""

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import jax

from alexnet_jax.errors import (
    MachineError,
    UserError,
    explain_os_error,
    print_error,
)
from alexnet_jax.parallel.launcher import Launch, find_launch
from alexnet_jax.signals import ended_by_the_system


@dataclass(frozen=True)
class Timeouts:
    """How long the processes wait for each other, in seconds.

    Attributes:
        initialization: from the start of one until all have come.
        heartbeat: until a process that is silent counts as dead, and the others exit.
        shutdown: from the end of one until all have ended.
    """

    initialization: int
    heartbeat: int
    shutdown: int


@contextmanager
def joined_cluster(timeouts: Timeouts) -> Iterator[None]:
    """Join the processes that were started together with this one, if any, for a `with` block.

    An error in the block ends this process at once, with its traceback as the last words: an
    orderly exit would wait for the others, who wait for it. They then find the connection closed,
    or miss its heartbeat, and exit too.

    Raises:
        UserError: the environment is contradictory, see `find_launch`.
        MachineError: this is process 0, and its port is taken.
    """
    launch = find_launch(os.environ)
    if launch is None:
        yield
        return
    if launch.process_id == 0 and launch.coordinator:
        _check_port(launch)
    _join(launch, timeouts)
    try:
        yield
    except SystemExit:
        jax.distributed.shutdown()
        raise
    except BaseException as error:  # noqa: BLE001 Whatever it is, nobody may wait for it.
        _exit_at_once(_report(error))
    jax.distributed.shutdown()


def check_cluster(processes: int | None, devices: int | None) -> None:
    """Raise UserError unless there are as many processes and devices as expected.

    Args:
        processes: None where any number will do.
        devices: of all processes together; None where any number will do.
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
    if _gpus_left_alone(os.environ):
        raise UserError(
            f"this process was given GPUs (CUDA_VISIBLE_DEVICES="
            f"{os.environ['CUDA_VISIBLE_DEVICES']}) but JAX found only {found}: install "
            '"jax[cuda13]", or set JAX_PLATFORMS=cpu if that is meant'
        )


def _gpus_left_alone(environment: Mapping[str, str]) -> bool:
    if jax.process_count() == 1 or jax.default_backend() != "cpu":
        return False
    given = environment.get("CUDA_VISIBLE_DEVICES", "") not in ("", "-1", "NoDevFiles")
    return given and "JAX_PLATFORMS" not in environment


def _check_port(launch: Launch) -> None:
    """Raise MachineError unless process 0 can listen where the others look for it.

    JAX 0.10.2 itself ends in a segmentation fault about every second time.
    """
    assert launch.coordinator is not None
    port = int(launch.coordinator.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        raise MachineError(
            f"{_describe(launch)} cannot listen on port {port} ({error}): another program has it, "
            "perhaps a run that has not ended; end that, or give another port"
        ) from error


def _join(launch: Launch, timeouts: Timeouts) -> None:
    # JAX's own would swallow SIGTERM; training/preemption.py listens, and agrees on a step.
    jax.config.update("jax_enable_preemption_service", False)
    # JAX aborts the process when its own time is up, before one could say why.
    watch = threading.Timer(timeouts.initialization, _give_up, (launch, timeouts.initialization))
    watch.daemon = True
    watch.start()
    try:
        with ended_by_the_system():  # Where another process fails, this one would wait in vain.
            jax.distributed.initialize(
                launch.coordinator,
                launch.processes,
                launch.process_id,
                launch.device_ids,
                launch.method,
                initialization_timeout=2 * timeouts.initialization,
                heartbeat_timeout_seconds=timeouts.heartbeat,
                shutdown_timeout_seconds=timeouts.shutdown,
            )
    except (RuntimeError, ValueError) as error:
        # Not by way of Python's own exit, which finds a runtime that is only half there.
        failure = MachineError(f"{_describe(launch)} cannot join the others: {error}")
        _exit_at_once(print_error(failure))
    finally:
        watch.cancel()


def _give_up(launch: Launch, seconds: int) -> None:
    failure = MachineError(
        f"{_describe(launch)} did not meet the others within {seconds} s "
        "(config.parallel.initialization_timeout). Usual causes: not all processes were started; "
        "one of them failed (see its log); the address is not that of process 0, or a firewall "
        "closes its port; http_proxy is set"
    )
    _exit_at_once(print_error(failure))


def _describe(launch: Launch) -> str:
    number = "this process" if launch.process_id is None else f"process {launch.process_id}"
    of = f" of {launch.processes}" if launch.processes else ""
    return f"{number}{of} (coordinator {launch.coordinator or launch.found_in})"


def _report(error: BaseException) -> int:
    """Print `error` as it would be without a cluster, and return the exit code."""
    if isinstance(error, OSError) and error.errno:
        error = explain_os_error(error)
    if isinstance(error, UserError):
        return print_error(error)
    traceback.print_exception(error)
    return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def _exit_at_once(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
