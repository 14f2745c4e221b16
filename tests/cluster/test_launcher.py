import pytest

from alexnet_jax.cluster.launcher import find_launch
from alexnet_jax.errors import UserError

EXPLICIT = {
    "JAX_COORDINATOR_ADDRESS": "host:1234",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "3",
}
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "n[0-1]",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.0.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}


def test_nothing_in_the_environment_is_alone():
    assert find_launch({"TPU_SKIP_MDS_QUERY": "1"}) is None


def test_the_three_variables_are_taken_as_they_are():
    launch = find_launch(EXPLICIT)
    assert (launch.coordinator, launch.processes, launch.process_id) == ("host:1234", 4, 3)


@pytest.mark.parametrize("others", [EXPLICIT, SLURM])
@pytest.mark.parametrize("address", ["host", "host:", ":1234", "host:port", "host:123456"])
def test_an_address_that_is_none_is_refused(others, address):
    with pytest.raises(UserError, match=f"={address} should be HOST:PORT of process 0"):
        find_launch(others | {"JAX_COORDINATOR_ADDRESS": address})


@pytest.mark.parametrize("missing", sorted(EXPLICIT))
def test_two_of_the_three_are_an_error_that_names_the_third(missing):
    partial = {name: value for name, value in EXPLICIT.items() if name != missing}
    with pytest.raises(UserError, match=f"but not {missing}; set all three"):
        find_launch(partial)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JAX_NUM_PROCESSES", "four", "JAX_NUM_PROCESSES='four' should be a whole number"),
        ("JAX_PROCESS_ID", "1.5", "JAX_PROCESS_ID='1.5' should be a whole number"),
        ("JAX_PROCESS_ID", "4", "JAX_PROCESS_ID=4 with JAX_NUM_PROCESSES=4"),
        ("JAX_PROCESS_ID", "-1", "JAX_PROCESS_ID=-1"),
        ("JAX_COORDINATOR_ADDRESS", "host", "JAX_COORDINATOR_ADDRESS=host should be HOST:PORT"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_named(name, value, message):
    with pytest.raises(UserError, match=message):
        find_launch(EXPLICIT | {name: value})


@pytest.mark.parametrize(("environment", "method"), [(SLURM, "slurm"), (OPEN_MPI, "ompi")])
def test_a_launcher_is_recognised(environment, method):
    launch = find_launch(environment)
    assert launch.method == method
    assert launch.coordinator is None


def test_beside_a_launcher_the_address_may_stand_alone():
    launch = find_launch(SLURM | {"JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234"})
    assert (launch.coordinator, launch.processes, launch.process_id) == ("10.0.0.1:1234", 4, 3)


def test_a_step_of_one_task_is_alone():
    assert find_launch(SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) is None


def test_several_tasks_without_srun_are_an_error():
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    with pytest.raises(UserError, match="4 tasks, but the program was not started by srun"):
        find_launch(job)


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_an_mpi_that_jax_does_not_know_is_an_error(name):
    with pytest.raises(UserError, match=f"MPI started 2 processes .{name}.*JAX_NUM_PROCESSES"):
        find_launch({name: "2"})


@pytest.mark.parametrize(
    ("visible", "devices"), [("0,1", (1,)), ("0,1,2,3", (2, 3)), ("GPU-a,GPU-b", (1,))]
)
def test_the_gpus_of_a_host_are_divided_over_its_processes(visible, devices):
    launch = find_launch(SLURM | {"CUDA_VISIBLE_DEVICES": visible})
    assert launch.device_ids == devices


def test_one_process_a_host_has_all_its_gpus():
    one_each = SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x4)", "SLURM_LOCALID": "0"}
    assert find_launch(one_each | {"CUDA_VISIBLE_DEVICES": "0,1"}).device_ids == (0, 1)


def test_gpus_hidden_from_each_other_are_an_error():
    with pytest.raises(UserError, match="2 processes on this host.*--gpus-per-task"):
        find_launch(SLURM | {"CUDA_VISIBLE_DEVICES": "1"})
