"""The command, as a process where its output matters, called where only its choice does."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from made_weights import make_bundle, random_tensors, same_params
from short_run import REPOSITORY

from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.runs.trained import load_trained
from alexnet_jax.weights import export_weights, import_weights, write_workdir


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "alexnet_jax.weights", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def run(*arguments):
    return finish(start(*arguments))


@pytest.mark.slow
def test_a_file_becomes_a_workdir_and_a_file_again(tmp_path):
    first, second, run_dir = tmp_path / "a", tmp_path / "b", tmp_path / "run"
    export_weights(make_bundle(), first, "safetensors")
    code, out, err = run("import", "--format=safetensors", first, f"--workdir={run_dir}")
    assert (code, err) == (0, "")
    assert "network 'tiny', 10 classes" in out
    code, out, err = run("export", "--format=stablehlo", f"--workdir={run_dir}", second)
    assert (code, err) == (0, "")
    assert f"{second}: {second.stat().st_size / 1e6:,.1f} MB" in out


def random_params(seed):
    params = flatten_dict(make_bundle().params, sep="/")
    shapes = {name: array.shape for name, array in params.items()}
    return unflatten_dict(random_tensors(shapes, seed), sep="/")


@pytest.fixture
def trained(tmp_path):
    """A workdir whose checkpoints 0, 1 and 2 hold the random parameters of their number.

    The log says that 1 is the best.
    """
    workdir = tmp_path / "run"
    bundle = make_bundle()
    write_workdir(replace(bundle, params=random_params(0)), workdir)
    network = load_trained(workdir, make_data_mesh()).network
    with closing(Checkpoints(workdir)) as checkpoints:
        first = checkpoints.read(0, network.abstract_state)
        for step in (1, 2):
            state = replace(first, step=jnp.int32(step), params=random_params(step))
            checkpoints.save(jax.device_put(state, replicated(make_data_mesh())), keep=[0])
    tests = {0: 0.9, 1: 0.5, 2: 0.6}
    (workdir / "metrics.jsonl").write_text("".join(map(eval_line, tests, tests.values())))
    return workdir


def eval_line(step, error):
    values = {"top1_error": error, "top5_error": 0.1, "loss": 1.0, "count": 100}
    return json.dumps({"kind": "eval", "step": step, "views": "center", **values}) + "\n"


@pytest.mark.slow
def test_export_takes_the_checkpoint_that_is_named_and_prints_it(trained, tmp_path):
    chosen = {
        "best": (1, "best of 0, 1, 2: top-1 error 50.00% on the center crop"),
        "latest": (2, "latest of 0, 1, 2"),
        "0": (0, "as requested"),
    }
    common = ("--format=safetensors", f"--workdir={trained}")
    processes = [
        start("export", *common, f"--checkpoint={name}", tmp_path / name) for name in chosen
    ]
    for process, (name, (step, why)) in zip(processes, chosen.items(), strict=True):
        code, out, err = finish(process)
        assert (code, err) == (0, "")
        assert out.startswith(f"{trained}: checkpoint {step} ({why})\n")
        found = import_weights(tmp_path / name, "safetensors")
        assert same_params(found.params, random_params(step))


def test_help_says_what_it_does():
    code, out, _ = run("--help")
    assert code == 0
    assert out.startswith("Import trained weights")
    assert "--format" in out


@pytest.mark.slow
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
