import json
import subprocess
import sys

import pytest
from short_run import REPOSITORY

from alexnet_jax.runs.reading import evaluations, read_log
from alexnet_jax.sweeps.trial_run import TrialRun, starts_again, trial_environment

TRAINED = {"kind": "train", "step": 5, "top1_error": 0.25, "images_per_second": 100.0}
EVALUATED = {"kind": "eval", "step": 5, "views": "center", "top1_error": 0.25, "count": 8}


def test_a_worker_of_ray_does_not_load_jax():
    program = "import sys, alexnet_jax.sweeps.trial_run; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


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


def write_log(trial, *lines, end=""):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (trial.workdir / "metrics.jsonl").write_text(text + end)


@pytest.mark.parametrize(("last", "name"), [(TRAINED, "training"), (EVALUATED, "validation")])
def test_the_last_whole_line_of_the_log_says_where_a_trial_is(trial, last, name):
    write_log(trial, *[TRAINED | {"step": 4, "top1_error": 0.75}] * 100, last, end='{"kind": "tr')
    assert trial.last_logged() == (5, f", {name} error 25.00%")


WITHOUT_STEP = {key: value for key, value in EVALUATED.items() if key != "step"}


@pytest.mark.parametrize("damaged", [WITHOUT_STEP, EVALUATED | {"top1_error": "low"}, [5], 5])
def test_a_damaged_line_of_the_log_is_left_out(trial, damaged):
    write_log(trial, EVALUATED, damaged)
    assert trial.last_logged() == (5, ", validation error 25.00%")
    assert evaluations(read_log(trial.workdir), "center") == [EVALUATED]
