import json

import pytest

from alexnet_jax.sweeps.trial_run import TrialRun, starts_again, trial_environment


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


@pytest.fixture
def trial(tmp_path):
    return TrialRun("trial", tmp_path, (), 100)


def test_a_trial_that_has_logged_nothing_is_where_its_checkpoint_is(trial):
    (trial.workdir / "checkpoints" / "20").mkdir(parents=True)
    assert trial.last_logged() == (20, "")


@pytest.mark.parametrize(("kind", "name"), [("train", "training"), ("eval", "validation")])
def test_the_last_whole_line_of_the_log_says_where_a_trial_is(trial, kind, name):
    first = {"kind": "train", "step": 4, "top1_error": 0.75}
    lines = [first] * 100 + [{"kind": kind, "step": 5, "top1_error": 0.25}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (trial.workdir / "metrics.jsonl").write_text(text + '{"kind": "tr')
    assert trial.last_logged() == (5, f", {name} error 25.00%")
