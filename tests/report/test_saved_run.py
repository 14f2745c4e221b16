"""What a report reads from a workdir."""

import json
import shutil

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.report.saved_run import read_run


def test_a_finished_run_has_its_result(finished):
    workdir, result = finished
    run = read_run(workdir)
    assert run.scores("ten_crop") == result["ten_crop"]
    assert [line["step"] for line in run.training] == [2, 4, 6]


def test_changed_values_are_those_of_the_recipe(finished):
    changed = {key: value for key, _, value in read_run(finished[0]).changed()}
    assert changed["model.name"] == "tiny" and changed["train.steps"] == 6
    assert "model.dtype" not in changed and "data.dir" not in changed


def test_a_run_without_result_has_the_scores_of_its_last_evaluation(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    (workdir / "result.json").write_text('{"step": 6}')
    assert read_run(workdir).scores("center")["step"] == 6


def test_a_workdir_without_log_and_environment_can_be_read(finished, tmp_path):
    shutil.copy(finished[0] / "config.json", tmp_path)
    run = read_run(tmp_path)
    assert (run.lines, run.result, run.command, run.scores("center")) == ([], None, [], None)


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(UserError, match="no workdir of a run"):
        read_run(tmp_path)


def test_steps_per_epoch_follow_from_the_log(finished):
    config = json.loads((finished[0] / "config.json").read_text())
    assert read_run(finished[0]).steps_per_epoch == pytest.approx(
        200 / config["train"]["batch_size"], rel=1e-3
    )
