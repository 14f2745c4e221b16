"""A workdir's files, when something else lies in their place."""

import json
import shutil
from dataclasses import replace

import pytest
from made_weights import make_bundle
from short_run import FRACTALS, short_config

from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError, explain_os_error
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.runs.workdir import read_result
from alexnet_jax.weights import write_workdir


@pytest.fixture(scope="module")
def imported(fractals_dir, tmp_path_factory):
    """A workdir that no run has trained in; copy it before changing it."""
    workdir = tmp_path_factory.mktemp("imported") / "run"
    bundle = make_bundle(config=short_config(fractals_dir).to_dict())
    names = Records(fractals_dir, FRACTALS, "train").class_names
    write_workdir(replace(bundle, class_names=names), workdir)
    return workdir


@pytest.fixture
def workdir(imported, tmp_path):
    shutil.copytree(imported, tmp_path / "run")
    return tmp_path / "run"


def put_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def line_of(action, *arguments):
    """What a command prints of the error, and its exit code."""
    with pytest.raises((UserError, OSError)) as caught:
        action(*arguments)
    error = caught.value
    known = error if isinstance(error, UserError) else explain_os_error(error)
    return str(known), known.exit_code


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "result.json",
        "data.json",
        "environment.json",
        "classes.json",
        "preprocessing.npz",
        "metrics.jsonl",
        "run.lock",
    ],
)
def test_a_folder_in_the_place_of_a_file_ends_training_with_path_and_cause(workdir, config, name):
    put_folder(workdir / name)
    line, code = line_of(train_and_evaluate, config, workdir)
    assert code == 2
    assert str(workdir / name) in line
    assert "Is a directory" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["config.json", "classes.json", "preprocessing.npz"])
def test_a_folder_in_the_place_of_a_file_ends_a_test_with_path_and_cause(workdir, name):
    put_folder(workdir / name)
    line, code = line_of(evaluate_workdirs, [str(workdir)], "center")
    assert code == 2
    assert str(workdir / name) in line
    assert "Is a directory" in line


SCORES = {"top1_error": 0.5, "top5_error": 0.1, "loss": 1.0, "count": 100}
RESULT = {"step": 6, "center": SCORES, "ten_crop": SCORES}


def test_a_result_of_all_steps_is_read(tmp_path, capsys):
    (tmp_path / "result.json").write_text(json.dumps(RESULT))
    assert read_result(tmp_path, 6) == RESULT
    assert read_result(tmp_path, 8) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it holds no object with a step"),
        ("[]", "it holds no object with a step"),
        ('{"step": ', "it holds no object with a step"),
        ("[" * 100_000, "it holds no object with a step"),
        ('{"step": "6"}', "it holds no object with a step"),
        ('{"step": 6}', "center lacks one of top1_error, top5_error, loss, count"),
        (json.dumps(RESULT | {"ten_crop": None}), "ten_crop lacks one of"),
        (json.dumps(RESULT | {"center": SCORES | {"loss": float("nan")}}), "center lacks one of"),
    ],
)
def test_a_result_without_its_numbers_counts_as_missing_with_a_warning(tmp_path, capsys, text, why):
    (tmp_path / "result.json").write_text(text)
    assert read_result(tmp_path, 6) is None
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {tmp_path}/result.json is damaged ({why}")
    assert err.endswith("); it is rewritten\n")
