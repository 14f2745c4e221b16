"""Joining a cluster, and leaving it without making other processes wait."""

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from alexnet_jax.cluster.launcher import Launch, find_launch
from alexnet_jax.errors import MachineError, UserError, print_error
from alexnet_jax.system.progress import silence
from alexnet_jax.system.signals import ended_by_the_system


@contextmanager
def joined_cluster(initialization: int, heartbeat: int, shutdown: int) -> Iterator[None]:
    """Join the processes that were started together with this one, if any, for a `with` block.

    An error in the block ends this process at once, after its traceback: an orderly exit would wait
    for the others, which wait for it. They find the connection closed, or miss the heartbeat, and
    exit too.

    Args:
        initialization: seconds to wait for all processes.
        heartbeat: seconds after which a silent process counts as dead, and the others exit.
        shutdown: seconds from the end of one process within which all must end.

    Raises:
        UserError: the environment is contradictory, see `find_launch`.
        MachineError: this is process 0, and its port is taken.
    """
    launch = find_launch(os.environ)
    if launch is None:
        yield
        return
    if launch.process_id == 0 and launch.coordinator:
        _check_port(launch, int(launch.coordinator.rpartition(":")[2]))
    # JAX's own would catch SIGTERM; training/preemption.py handles it and agrees on a step.
    jax.config.update("jax_enable_preemption_service", False)
    # JAX aborts the process at its own timeout without a reason, so ours comes first.
    watch = threading.Timer(initialization, _give_up, (launch, initialization))
    watch.daemon = True
    watch.start()
    try:
        with ended_by_the_system():  # If another process fails, this one would wait forever.
            jax.distributed.initialize(
                launch.coordinator,
                launch.processes,
                launch.process_id,
                launch.device_ids,
                launch.method,
                initialization_timeout=2 * initialization,
                heartbeat_timeout_seconds=heartbeat,
                shutdown_timeout_seconds=shutdown,
            )
    except (RuntimeError, ValueError) as error:
        # Python's own exit would crash in the half-initialized runtime.
        failure = MachineError(f"{_describe(launch)} cannot join the others: {error}")
        _exit_at_once(print_error(failure))
    finally:
        watch.cancel()
    if jax.process_index():
        silence()
    try:
        yield
    except SystemExit:
        jax.distributed.shutdown()
        raise
    except BaseException as error:  # noqa: BLE001 Whatever it is, no process may wait for this one.
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno):
            _exit_at_once(print_error(error))
        traceback.print_exception(error)
        _exit_at_once(128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1)
    jax.distributed.shutdown()


def _check_port(launch: Launch, port: int) -> None:
    """Raise MachineError if process 0 cannot listen: JAX 0.10.2 may then crash with SIGSEGV."""
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        raise MachineError(
            f"{_describe(launch)} cannot listen on port {port} ({error}): another program has it, "
            "perhaps a run that has not ended; end that, or give another port"
        ) from error


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


def _exit_at_once(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
