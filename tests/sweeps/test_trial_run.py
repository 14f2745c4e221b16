import pytest

from alexnet_jax.sweeps.trial_run import starts_again, trial_environment


def test_a_trial_in_a_cluster_job_joins_no_cluster():
    job = {"SLURM_NTASKS": "2", "JAX_PROCESS_ID": "1", "OMPI_MCA_x": "1", "PATH": "/bin"}
    assert trial_environment(job, None) == {"PATH": "/bin"}


def test_a_trial_sees_its_devices_alone():
    assert trial_environment({"CUDA_VISIBLE_DEVICES": "0,1"}, "1") == {"CUDA_VISIBLE_DEVICES": "1"}


@pytest.mark.parametrize(
    ("exit_codes", "again"),
    [
        ([0], False),
        ([1], False),
        ([75], True),
        ([3, 3], True),
        ([3, 3, 3], False),
        ([3, 3, 75, 3], True),
        ([75, 2], False),
    ],
)
def test_a_trial_starts_again_after_a_preemption_or_up_to_two_failures_in_a_row(exit_codes, again):
    assert starts_again(exit_codes) == again
