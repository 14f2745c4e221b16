"""Who started this process, among how many: what the environment tells before JAX is asked."""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from alexnet_jax.errors import UserError

_ADDRESS = "JAX_COORDINATOR_ADDRESS"
_COUNT = "JAX_NUM_PROCESSES"
_ID = "JAX_PROCESS_ID"
_BY_HAND = (
    f"set {_ADDRESS}=HOST:PORT (of process 0), {_COUNT} and {_ID} for each of them "
    "(docs/clusters.md)"
)


@dataclass(frozen=True)
class Launch:
    """How `jax.distributed.initialize` is to be called.

    Attributes:
        method: JAX's name of the way to find what is None here; "deactivate" where nothing is.
        coordinator: "host:port" of process 0.
        processes: how many there are.
        process_id: 0 for the first.
        device_ids: those of the visible devices that are this process's; None: JAX decides.
        found_in: where JAX finds the coordinator that is None here, for messages.
    """

    method: str | None
    coordinator: str | None = None
    processes: int | None = None
    process_id: int | None = None
    device_ids: tuple[int, ...] | None = None
    found_in: str = ""


@dataclass(frozen=True)
class _Place:
    """What Slurm or Open MPI says: which of how many processes, here and on this host."""

    method: str
    found_in: str
    processes: int
    process_id: int
    local_processes: int
    local_id: int


def find_launch(environment: Mapping[str, str]) -> Launch | None:
    """Return how this process was started together with others; None if it is alone.

    JAX's own three variables come first, then a Slurm step, Open MPI, a TPU slice.

    Args:
        environment: `os.environ`, after `import jax`, which says there whether it saw TPUs.

    Raises:
        UserError: variables that contradict themselves, or processes that would train apart.
    """
    place = _find_place(environment)
    launch = _explicit(environment, place)
    if launch is None and place is not None:
        launch = Launch(
            place.method,
            _address(environment),
            place.processes,
            place.process_id,
            found_in=f"as {place.found_in}={environment[place.found_in]} says",
        )
    if launch is None:
        _refuse_to_train_apart(environment)
        return Launch(None, found_in="as the TPU slice says") if _on_tpus(environment) else None
    if launch.processes == 1:
        return None
    return replace(launch, device_ids=_choose_devices(environment, place))


def _explicit(environment: Mapping[str, str], place: _Place | None) -> Launch | None:
    """Read JAX's variables; beside a launcher that knows the rest the address may stand alone."""
    given = [name for name in (_ADDRESS, _COUNT, _ID) if environment.get(name)]
    if not given or (given == [_ADDRESS] and place is not None):
        return None
    missing = [name for name in (_ADDRESS, _COUNT, _ID) if name not in given]
    if missing:
        raise UserError(
            f"{' and '.join(given)} set, but not {' and '.join(missing)}; set all three, or none"
        )
    processes, process_id = (_integer(environment, name) for name in (_COUNT, _ID))
    if not 0 <= process_id < processes:
        raise UserError(
            f"{_ID}={process_id} with {_COUNT}={processes}: the numbers go from 0 to {_COUNT} - 1"
        )
    return Launch("deactivate", _address(environment), processes, process_id)


def _find_place(environment: Mapping[str, str]) -> _Place | None:
    if "SLURM_STEP_NODELIST" in environment and "SLURM_PROCID" in environment:
        tasks = _expand_tasks(environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
        return _Place(
            "slurm",
            "SLURM_STEP_NODELIST",
            _integer(environment, "SLURM_NTASKS"),
            _integer(environment, "SLURM_PROCID"),
            tasks[int(environment.get("SLURM_NODEID", "0")) % len(tasks)],
            _integer(environment, "SLURM_LOCALID"),
        )
    # Open MPI 5 no longer says where process 0 is: JAX cannot find it there.
    if "OMPI_MCA_orte_hnp_uri" in environment:
        return _Place(
            "ompi",
            "OMPI_MCA_orte_hnp_uri",
            _integer(environment, "OMPI_COMM_WORLD_SIZE"),
            _integer(environment, "OMPI_COMM_WORLD_RANK"),
            _integer(environment, "OMPI_COMM_WORLD_LOCAL_SIZE"),
            _integer(environment, "OMPI_COMM_WORLD_LOCAL_RANK"),
        )
    return None


def _expand_tasks(text: str) -> list[int]:
    """Turn Slurm's "2(x3),1" into [2, 2, 2, 1]."""
    counts = []
    for part in text.split(","):
        count, _, times = part.partition("(x")
        counts += [int(count)] * int(times.rstrip(")") or 1)
    return counts


def _refuse_to_train_apart(environment: Mapping[str, str]) -> None:
    """Raise UserError where a launcher started several processes that know nothing of each other.

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
                f"address only under Open MPI 4: {_BY_HAND}"
            )


def _on_tpus(environment: Mapping[str, str]) -> bool:
    """Say whether JAX found TPU chips here; if not, its import set TPU_SKIP_MDS_QUERY."""
    if importlib.util.find_spec("libtpu") is None:
        return False
    return "TPU_WORKER_HOSTNAMES" in environment or "TPU_SKIP_MDS_QUERY" not in environment


def _choose_devices(environment: Mapping[str, str], place: _Place | None) -> tuple[int, ...] | None:
    """Divide the visible GPUs of a host evenly over its processes.

    JAX itself would give each process one, and leave the others idle.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if place is None or not visible or "JAX_LOCAL_DEVICE_IDS" in environment:
        return None
    gpus = len(visible.split(","))
    if gpus % place.local_processes:
        raise UserError(
            f"{place.local_processes} processes on this host, and this one sees {gpus} GPU(s) "
            f"(CUDA_VISIBLE_DEVICES={visible}): each process must see all GPUs of the host, as "
            "many for each. Usual cause: --gpus-per-task, which hides the others; give "
            "--ntasks-per-node=N --gpus-per-node=N instead"
        )
    each = gpus // place.local_processes
    return tuple(range(place.local_id * each, (place.local_id + 1) * each))


def _address(environment: Mapping[str, str]) -> str | None:
    address = environment.get(_ADDRESS)
    if address and not re.fullmatch(r".+:\d{1,5}", address):
        raise UserError(f"{_ADDRESS}={address} should be HOST:PORT of process 0")
    return address or None


def _integer(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{name}={text!r} should be a whole number") from None
