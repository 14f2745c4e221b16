from alexnet_jax.sweeps.trial_run import trial_environment


def test_a_trial_in_a_cluster_job_joins_no_cluster():
    job = {"SLURM_NTASKS": "2", "JAX_PROCESS_ID": "1", "OMPI_MCA_x": "1", "PATH": "/bin"}
    assert trial_environment(job, None) == {"PATH": "/bin"}


def test_a_trial_sees_its_devices_alone():
    assert trial_environment({"CUDA_VISIBLE_DEVICES": "0,1"}, "1") == {"CUDA_VISIBLE_DEVICES": "1"}
