"""Process discovery: the cluster that this process belongs to, read from the environment."""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass

from alexnet_jax.errors import UserError

_ADDRESS = "JAX_COORDINATOR_ADDRESS"
_COUNT = "JAX_NUM_PROCESSES"
_ID = "JAX_PROCESS_ID"


@dataclass(frozen=True)
class Launch:
    """The arguments of `jax.distributed.initialize`."""

    method: str | None  # JAX's way to find what is None here; "deactivate" where nothing is.
    coordinator: str | None = None  # "host:port" of process 0.
    processes: int | None = None
    process_id: int | None = None
    device_ids: tuple[int, ...] | None = None  # Of this process; None: JAX decides.
    found_in: str = ""  # Where JAX finds a coordinator that is None here, for messages.


def find_launch(environment: Mapping[str, str]) -> Launch | None:
    """Return how this process joins others; None if it is alone.

    JAX's own three variables come first, then a Slurm step, Open MPI 4, a TPU slice.

    Args:
        environment: `os.environ` after `import jax`, which sets a variable if it found no TPU.

    Raises:
        UserError: the variables contradict each other, or each process would train on its own.
    """
    address = environment.get(_ADDRESS)
    if address and not re.fullmatch(r".+:\d{1,5}", address):
        raise UserError(f"{_ADDRESS}={address} should be HOST:PORT of process 0")
    method, found_in, count, number = "deactivate", "", _COUNT, _ID
    local: tuple[int, str] | None = None  # Processes on this host, the variable with our number.
    if "SLURM_STEP_NODELIST" in environment and "SLURM_PROCID" in environment:
        method, found_in = "slurm", "SLURM_STEP_NODELIST"
        count, number = "SLURM_NTASKS", "SLURM_PROCID"
        tasks = _expand_tasks(environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
        local = tasks[int(environment.get("SLURM_NODEID", "0")) % len(tasks)], "SLURM_LOCALID"
    # Open MPI 5 no longer sets this variable, in which JAX finds process 0.
    elif "OMPI_MCA_orte_hnp_uri" in environment:
        method, found_in = "ompi", "OMPI_MCA_orte_hnp_uri"
        count, number = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"
        local_processes = _integer(environment, "OMPI_COMM_WORLD_LOCAL_SIZE")
        local = local_processes, "OMPI_COMM_WORLD_LOCAL_RANK"
    given = [name for name in (_ADDRESS, _COUNT, _ID) if environment.get(name)]
    # Where a launcher gives the rest, the address suffices.
    if given and not (given == [_ADDRESS] and found_in):
        if missing := [name for name in (_ADDRESS, _COUNT, _ID) if name not in given]:
            raise UserError(
                f"{' and '.join(given)} set, but not {' and '.join(missing)}; set all three, or "
                "none"
            )
        method, count, number = "deactivate", _COUNT, _ID
    elif not found_in:
        _refuse_to_train_apart(environment)
        return Launch(None, found_in="as the TPU slice says") if _on_tpus(environment) else None
    processes, process_id = _integer(environment, count), _integer(environment, number)
    if not 0 <= process_id < processes:
        raise UserError(
            f"{number}={process_id} with {count}={processes}: the numbers go from 0 to {count} - 1"
        )
    if processes == 1:
        return None
    devices = _choose_devices(environment, *local) if local else None
    where = f"as {found_in}={environment[found_in]} says" if found_in else ""
    return Launch(method, address or None, processes, process_id, devices, where)


def _expand_tasks(text: str) -> list[int]:
    """Turn Slurm's "2(x3),1" into [2, 2, 2, 1]."""
    counts = []
    for part in text.split(","):
        count, _, times = part.partition("(x")
        counts += [int(count)] * int(times.rstrip(")") or 1)
    return counts


def _refuse_to_train_apart(environment: Mapping[str, str]) -> None:
    """Raise UserError if a launcher started several processes that cannot find each other.

    Each would train the whole run alone, all into one workdir.
    """
    if int(environment.get("SLURM_NTASKS", "1")) > 1:
        raise UserError(
            f"this Slurm job has {environment['SLURM_NTASKS']} tasks, but the program was not "
            "started by srun: put srun before it, as launch/slurm/train.sbatch does, or "
            "`unset SLURM_NTASKS` to train in one process"
        )
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if int(environment.get(name, "1")) > 1:
            raise UserError(
                f"MPI started {environment[name]} processes ({name}), but JAX finds each other's "
                f"address only under Open MPI 4: set {_ADDRESS}=HOST:PORT (of process 0), {_COUNT} "
                f"and {_ID} for each of them (docs/clusters.md)"
            )


def _on_tpus(environment: Mapping[str, str]) -> bool:
    """Return whether JAX found TPU chips here; if not, its import set TPU_SKIP_MDS_QUERY."""
    if importlib.util.find_spec("libtpu") is None:
        return False
    return "TPU_WORKER_HOSTNAMES" in environment or "TPU_SKIP_MDS_QUERY" not in environment


def _choose_devices(
    environment: Mapping[str, str], local_processes: int, local_id: str
) -> tuple[int, ...] | None:
    """Divide the visible GPUs of a host evenly over its processes.

    JAX itself would give each process one, and leave the others idle.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if not visible or "JAX_LOCAL_DEVICE_IDS" in environment:
        return None
    gpus = len(visible.split(","))
    if gpus % local_processes:
        raise UserError(
            f"{local_processes} processes on this host, and this one sees {gpus} GPU(s) "
            f"(CUDA_VISIBLE_DEVICES={visible}): each process must see all GPUs of the host, as "
            "many for each. Usual cause: --gpus-per-task, which hides the others; give "
            "--ntasks-per-node=N --gpus-per-node=N instead"
        )
    each, first = gpus // local_processes, _integer(environment, local_id)
    return tuple(range(first * each, (first + 1) * each))


def _integer(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{name}={text!r} should be a whole number") from None
