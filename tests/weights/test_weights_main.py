"""The front door, as a process where its output matters, called where only its choice does."""

import os
import subprocess
import sys

import pytest
from made_weights import make_bundle
from short_run import REPOSITORY

from alexnet_jax.weights import export_weights


def run(*arguments):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-m", "alexnet_jax.weights", *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_file_becomes_a_workdir_and_a_file_again(tmp_path):
    first, second, run_dir = tmp_path / "a", tmp_path / "b", tmp_path / "run"
    export_weights(make_bundle(), first, "safetensors")
    code, out, err = run("import", "--format=safetensors", first, f"--workdir={run_dir}")
    assert (code, err) == (0, "")
    assert "network 'tiny', 10 classes" in out
    code, out, err = run("export", "--format=stablehlo", f"--workdir={run_dir}", second)
    assert (code, err) == (0, "")
    assert f"{second}: {second.stat().st_size / 1e6:,.1f} MB" in out


def test_help_says_what_it_does():
    code, out, _ = run("--help")
    assert code == 0
    assert out.startswith("Bring trained parameters in")
    assert "--format" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format=caffe", "--workdir=w"], "give import or export, then one file"),
        (["import", "f", "--workdir=w"], "--format must be given"),
        (["import", "f", "--format=caffe"], "--workdir must be given"),
        (["import", "f", "--format=onnx", "--workdir=w"], "onnx"),
        (["import", "no", "--format=caffe", "--workdir=w"], "there is no file no"),
        (["import", "f", "--format=stablehlo", "--workdir=w"], "import knows no format"),
        (["import", "f", "--format=caffe", "--workdir=w", "--mean=1,2"], "three numbers"),
        (["import", "f", "--format=safetensors", "--workdir=w", "--mean=1,2,3"], "--mean is for"),
        (["export", "f", "--format=safetensors", "--workdir=w", "--model=owt"], "is for import"),
        (["export", "f", "--format=safetensors", "--workdir=no"], "no is no workdir"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
