"""The doctor as a user meets it: a process of its own."""

import json
import os
import subprocess
import sys

import pytest
from short_run import REPOSITORY, SMALL

DEMO = ["--config=configs/demo.py", *SMALL, "--seconds=1"]


def doctor(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "alexnet_jax.doctor", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_json_is_one_object_and_nothing_else_even_without_data(tmp_path):
    done = doctor(*DEMO, f"--config.data.dir={tmp_path}", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    described = json.loads(done.stdout)
    assert "make it with: python -m alexnet_jax.prepare" in described["missing"]
    assert described["stages"]["step"]["images_per_second"] > 0
    assert described["stages"]["batches"] == {"reason": "no data"}
    assert described["store"] == {"bytes": None, "fits_device": None}


def test_an_unknown_key_is_one_line_and_exit_code_2():
    done = doctor("--config=configs/demo.py", "--config.train.batchsize=8")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: config.train.batchsize is unknown; did you mean config.train.batch_size?\n"
    )


def test_no_time_is_refused():
    done = doctor("--config=configs/demo.py", "--seconds=0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "seconds" in done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--chip=v9"], "there are v5e, v6e, h100"),
        (["--chip=h100"], "jax[cuda13]=="),
        (["--chip=v5e", "--devices=8"], "--topology says how many"),
    ],
    ids=["unknown", "not installed", "and devices"],
)
def test_a_chip_that_cannot_be_compiled_for_is_one_line(flags, says):
    done = doctor("--config=configs/demo.py", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert says in done.stderr
