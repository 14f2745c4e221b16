"""The doctor as a user meets it: a process of its own."""

import json
import os
import subprocess
import sys

from short_run import FRACTALS, REPOSITORY

DEMO = ["--config=configs/demo.py", f"--config.data.name={FRACTALS}", "--seconds=1"]


def doctor(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "alexnet_jax.doctor", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_is_one_object_and_nothing_else(fractals_dir):
    done = doctor(*DEMO, f"--config.data.dir={fractals_dir}", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["data"]["examples"] == 500


def test_without_data_the_table_names_the_network_and_the_command(tmp_path):
    done = doctor(*DEMO, f"--config.data.dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "conv1       36 x 36 x 12        4,368       5,645,376" in done.stdout
    assert "python -m alexnet_jax.prepare --dataset=fractals/demo" in done.stdout


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
