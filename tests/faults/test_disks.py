"""Commands on disks that fail: one line with path and cause, exit code 3."""

import subprocess
import sys

import pytest
from cluster_runs import environment, finish, options, start
from faults.injection import faulty
from short_run import REPOSITORY

EXPORT = """
import sys, pathlib
import numpy as np
from alexnet_jax import cli
from alexnet_jax.weights.files import write_safetensors
tensors = {"kernel": np.zeros(100_000, np.float32)}
cli.run(lambda arguments: write_safetensors(pathlib.Path(arguments[0]), tensors, {}))
"""


def assert_one_line(code, err, cause, *parts):
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert (code, len(lines)) == (3, 1), err
    assert lines[0].startswith("error: ")
    assert all(part in lines[0] for part in (cause, *parts)), err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "code", "cause"),
    [
        ("write", "ENOSPC", "disk full"),
        ("open", "EROFS", "Read-only file system"),
        ("write", "EIO", "Input/output error"),
    ],
)
def test_an_export_names_the_folder_and_the_cause(tmp_path, call, code, cause):
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, f"{tmp_path}/weights.safetensors"],
        cwd=REPOSITORY,
        env=environment(**faulty(call, str(tmp_path), code)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_line(done.returncode, done.stderr, cause, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "path", "code", "cause"),
    [
        ("mkdir", "run", "EROFS", "Read-only file system"),
        ("rename", "run/config.json", "EDQUOT", "disk full"),
        ("write", "run/metrics.jsonl", "EIO", "Input/output error"),
        ("write", "run/checkpoints", "EIO", "Input/output error"),
    ],
)
def test_a_training_names_the_workdir_and_the_cause(
    fractals_dir, tmp_path, call, path, code, cause
):
    workdir = tmp_path / "run"
    faults = faulty(call, f"{tmp_path}/{path}", code)
    training = options(fractals_dir, workdir, train__steps=2, checkpoint__every_steps=1)
    ((exit_code, _, err),) = finish([start(training, **faults)])
    assert_one_line(exit_code, err, cause, str(workdir))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "path", "code", "cause"),
    [
        ("write", "fractals/", "EIO", "Input/output error"),
        ("mkdir", "fractals", "ENOSPC", "disk full"),
    ],
)
def test_preparing_names_the_data_dir_and_the_cause(tmp_path, call, path, code, cause):
    arguments = ["--dataset=fractals", "--images_per_class=5", f"--data_dir={tmp_path}"]
    process = start(
        arguments, ("-m", "alexnet_jax.prepare"), **faulty(call, f"{tmp_path}/{path}", code)
    )
    ((exit_code, _, err),) = finish([process])
    assert_one_line(exit_code, err, cause, str(tmp_path))
