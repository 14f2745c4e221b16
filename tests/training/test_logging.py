import json
import os
import subprocess
import sys

import pytest
from short_run import REPOSITORY

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.training.logging import RunLog

VALUES = {
    "loss": 1.0,
    "top1_error": 0.5,
    "learning_rate": 0.01,
    "images_per_second": 100.0,
    "data_wait_fraction": 0.0,
    "epoch": 1.0,
}
SCORES = {"top1_error": 0.5, "top5_error": 0.1, "loss": 1.0, "count": 8}


def read(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_lines_have_a_kind_and_a_step(tmp_path):
    with RunLog(tmp_path, 0, 10) as log:
        log.train(5, VALUES, seconds_left=1.0)
        log.evaluation(5, "center", SCORES)
    assert read(tmp_path) == [
        {"kind": "train", "step": 5, **VALUES},
        {"kind": "eval", "step": 5, "views": "center", **SCORES},
    ]


def test_a_run_that_continues_forgets_what_it_will_do_again(tmp_path):
    with RunLog(tmp_path, 0, 10) as log:
        for step in (2, 4, 6):
            log.train(step, VALUES, seconds_left=1.0)
    with RunLog(tmp_path, 4, 10):
        pass
    assert [line["step"] for line in read(tmp_path)] == [2, 4]


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path):
    whole = {"kind": "train", "step": 2, **VALUES}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(whole) + '\n{"kind": "tr')
    with RunLog(tmp_path, 4, 10):
        pass
    assert read(tmp_path) == [whole]


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": "train", "step": 2},
        {"kind": "train", "step": True, **VALUES},
        {"kind": "train", "step": 2, **VALUES, "images_per_second": "fast"},
        {"kind": "train", "step": 2, **VALUES, "seconds": [1]},
        {"kind": "eval", "step": 2, "views": "center", "top1_error": 0.5},
        {"kind": "eval", "step": 2, "views": "center", **SCORES, "loss": float("nan")},
        {"kind": ["train"], "step": 2, **VALUES},
    ],
)
def test_an_odd_line_counts_as_damaged(tmp_path, capsys, odd):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(odd) + "\n")
    with RunLog(tmp_path, 4, 10) as log:
        assert log.lines == []
    assert "warning: 1 line(s)" in capsys.readouterr().err


def test_scores_are_found_again(tmp_path):
    with RunLog(tmp_path, 0, 10) as log:
        log.evaluation(5, "center", SCORES)
    with RunLog(tmp_path, 5, 10) as log:
        assert log.scores(5, "center") == SCORES
        assert log.scores(5, "ten_crop") is None


def test_a_metric_of_the_registry_is_logged_with_the_others(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    with RunLog(tmp_path, 0, 10) as log:
        log.evaluation(5, "center", SCORES | {"top10_error": 0.25})
        assert log.scores(5, "center")["top10_error"] == 0.25
    assert "loss 1.0000, top-10 error 0.2500 on 8 images" in capsys.readouterr().out
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"center/top10_error" in events.read_bytes()


def test_scores_from_before_a_metric_was_added_are_kept_but_incomplete(tmp_path, monkeypatch):
    """So the evaluation is repeated, and the best checkpoint is still known."""
    with RunLog(tmp_path, 0, 10) as log:
        log.evaluation(5, "center", SCORES)
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    with RunLog(tmp_path, 5, 10) as log:
        assert log.lines == [{"kind": "eval", "step": 5, "views": "center", **SCORES}]
        assert log.scores(5, "center") is None


def test_without_a_terminal_a_line_tells_how_it_goes(tmp_path, capsys):
    with RunLog(tmp_path, 0, 10) as log:
        log.train(5, VALUES, seconds_left=90.0)
    line = capsys.readouterr().out
    assert line == (
        "step 5/10  epoch 1.00  loss 1.0000  error 0.5000  100 images/s  rate 1.00e-02  "
        "waiting 0.0%  to go 01:30\n"
    )


def test_tensorboard_receives_the_same_numbers(tmp_path):
    with RunLog(tmp_path, 0, 10) as log:
        log.train(5, VALUES, seconds_left=1.0)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/images_per_second" in events.read_bytes()


def test_pytorch_where_it_is_installed_is_left_alone(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('somebody imported it')")
    script = f"""
from pathlib import Path
from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.training.logging import RunLog
with RunLog(Path({str(tmp_path)!r}), 0, 10):
    pass
import torch
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.endswith("somebody imported it\n"), "its import works afterwards, as before"
    assert (tmp_path / "metrics.jsonl").exists()


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with RunLog(tmp_path, 0, 10) as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.train(5, VALUES | {"loss": float("nan")}, seconds_left=1.0)


def test_damaged_lines_are_left_out_and_kept_aside(tmp_path, capsys):
    with RunLog(tmp_path, 0, 10) as log:
        for step in (2, 4, 6):
            log.train(step, VALUES, seconds_left=1.0)
    path = tmp_path / "metrics.jsonl"
    damaged = path.read_text().replace('"step": 4', "\0\0")
    path.write_text(damaged)
    with RunLog(tmp_path, 6, 10):
        pass
    assert [line["step"] for line in read(tmp_path)] == [2, 6]
    assert "warning: 1 line(s) of" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl.damaged").read_text() == damaged
