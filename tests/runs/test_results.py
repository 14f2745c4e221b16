"""What a run prints at its end, and when it is started again."""

import json
import os
import shutil

import pytest

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.monitoring.profiling import ProfiledSteps
from alexnet_jax.runs.results import format_result, format_scores
from alexnet_jax.runs.train import train_and_evaluate

SCORES = {"top1_error": 0.25, "top5_error": 0.1, "loss": 1.5, "count": 1000}
RESULT = {
    "step": 1094,
    "seconds": 90.0,
    "images_per_second": 1234.5,
    "center": SCORES,
    "ten_crop": SCORES | {"top1_error": 0.0},
}


@pytest.fixture
def workdir(tmp_path):
    """A workdir with a log and two of its checkpoints."""
    lines = [
        {"kind": "train", "step": 5, "images_per_second": 1, "data_wait_fraction": 0.02},
        {"kind": "train", "step": 6, "images_per_second": 1, "data_wait_fraction": 0.04},
        {"kind": "eval", "step": 5, "views": "center", "count": 8, "top1_error": 0.2},
        {"kind": "eval", "step": 6, "views": "center", "count": 8, "top1_error": 0.3},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (5, 6):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    return tmp_path


def test_errors_are_in_per_cent_with_their_intervals(workdir):
    # Wilson's interval of 250 of 1,000: 0.2242 to 0.2778; of none: 0 to z²/(n + z²) = 0.0038.
    assert format_result(RESULT, workdir).splitlines()[:3] == [
        "                      top-1 error          top-5 error    loss  images",
        "center crop  25.00% (22.42-27.78)  10.00% (8.29-12.02)  1.5000   1,000",
        "ten crops       0.00% (0.00-0.38)  10.00% (8.29-12.02)  1.5000   1,000",
    ]


def test_the_best_checkpoint_the_time_and_the_waiting_follow(workdir):
    table = format_result(RESULT, workdir)
    assert "best checkpoint: step 5, center crop top-1 error 20.00%" in table
    assert "1,094 steps in 1:30, 1,234 images/s (median), 3.0% of the time waiting" in table


def test_a_run_that_was_only_evaluated_has_no_speed(workdir):
    (workdir / "metrics.jsonl").unlink()
    assert "1,094 steps in 1:30\n" in format_result(RESULT | {"images_per_second": None}, workdir)


def test_the_commands_that_people_need_next_are_there(workdir):
    table = format_result(RESULT, workdir)
    for command in ("report", "predict", "evaluate"):
        assert f"python -m alexnet_jax.{command} --workdir={workdir}" in table
    assert "tensorboard --logdir" not in table, "it is not installed"


def test_where_tensorboard_is_installed_its_command_is_there(workdir, monkeypatch):
    (workdir / "tensorboard.py").touch()
    monkeypatch.syspath_prepend(workdir)
    assert f"tensorboard --logdir={workdir}/tensorboard" in format_result(RESULT, workdir)


def test_a_finished_run_says_so_and_when_and_what_to_do(finished, config, tmp_path, capsys):
    workdir, result = tmp_path / "run", finished[1]
    shutil.copytree(finished[0], workdir)
    os.utime(workdir / "result.json", (1e9, 1e9))
    assert train_and_evaluate(config, workdir, profiled=ProfiledSteps(1, 2)) == result
    out = capsys.readouterr().out
    assert f"{workdir} holds a finished run: 6 steps, ended 2001-09-" in out
    assert "For a new run, give another --workdir." in out
    assert "give a larger --config.train.steps" in out, "which the config sets, not the epochs"
    assert "--profile has no effect" in out


def test_only_flags_that_were_given_are_said_to_have_no_effect(finished, config, capsys):
    train_and_evaluate(config, finished[0])
    assert "has no effect" not in capsys.readouterr().out


def test_scores_print_as_a_table_with_errors_in_per_cent(monkeypatch):
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    scores = {"top1_error": 0.5, "top5_error": 0.25, "loss": 1.5, "top10_error": 1, "count": 1000}
    assert format_scores({"center": scores, "ten_crop": scores}).splitlines() == [
        "views       top-1 error  top-5 error     loss  top-10 error   images",
        "center           50.00%       25.00%   1.5000       100.00%    1,000",
        "ten_crop         50.00%       25.00%   1.5000       100.00%    1,000",
    ]
