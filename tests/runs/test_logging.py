import json

import pytest
from short_run import read_lines

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.runs.logging import RunLog

VALUES = {
    "loss": 1.0,
    "top1_error": 0.5,
    "learning_rate": 0.01,
    "images_per_second": 100.0,
    "data_wait_fraction": 0.0,
    "epoch": 1.0,
}
SCORES = {"top1_error": 0.5, "top5_error": 0.1, "loss": 1.0, "count": 8}


def test_lines_have_a_kind_and_a_step(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.train(5, VALUES)
        log.evaluation(5, "center", SCORES)
    assert read_lines(tmp_path) == [
        {"kind": "train", "step": 5, **VALUES},
        {"kind": "eval", "step": 5, "views": "center", **SCORES},
    ]


def test_a_run_that_continues_forgets_what_it_will_do_again(tmp_path):
    with RunLog(tmp_path, 0) as log:
        for step in (2, 4, 6):
            log.train(step, VALUES)
    with RunLog(tmp_path, 4):
        pass
    assert [line["step"] for line in read_lines(tmp_path)] == [2, 4]


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path):
    whole = {"kind": "train", "step": 2, **VALUES}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(whole) + '\n{"kind": "tr')
    with RunLog(tmp_path, 4):
        pass
    assert read_lines(tmp_path) == [whole]


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
    with RunLog(tmp_path, 4) as log:
        assert log.lines == []
    assert "warning: 1 line(s)" in capsys.readouterr().err


def test_scores_are_found_again(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.evaluation(5, "center", SCORES)
    with RunLog(tmp_path, 5) as log:
        assert log.scores(5, "center") == SCORES
        assert log.scores(5, "ten_crop") is None


def test_a_metric_of_the_registry_is_logged_with_the_others(tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    with RunLog(tmp_path, 0) as log:
        log.evaluation(5, "center", SCORES | {"top10_error": 0.25})
        assert log.scores(5, "center")["top10_error"] == 0.25


def test_scores_from_before_a_metric_was_added_are_kept_but_incomplete(tmp_path, monkeypatch):
    """So the evaluation is repeated, and the best checkpoint is still known."""
    with RunLog(tmp_path, 0) as log:
        log.evaluation(5, "center", SCORES)
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    with RunLog(tmp_path, 5) as log:
        assert log.lines == [{"kind": "eval", "step": 5, "views": "center", **SCORES}]
        assert log.scores(5, "center") is None


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with RunLog(tmp_path, 0) as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.train(5, VALUES | {"loss": float("nan")})


def test_damaged_lines_are_left_out_and_kept_aside(tmp_path, capsys):
    with RunLog(tmp_path, 0) as log:
        for step in (2, 4, 6):
            log.train(step, VALUES)
    path = tmp_path / "metrics.jsonl"
    damaged = path.read_text().replace('"step": 4', "\0\0")
    path.write_text(damaged)
    with RunLog(tmp_path, 6):
        pass
    assert [line["step"] for line in read_lines(tmp_path)] == [2, 6]
    assert "warning: 1 line(s) of" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl.damaged").read_text() == damaged


class Heard:
    """An observer that remembers what it received."""

    def __init__(self):
        self.calls = []

    def train(self, *values):
        self.calls.append(values)

    evaluation = train


def test_observers_receive_what_is_written(tmp_path):
    heard = Heard()
    with RunLog(tmp_path, 0) as log:
        log.observers.append(heard)
        log.train(5, VALUES)
        log.evaluation(5, "center", SCORES)
    assert heard.calls == [(5, VALUES), (5, "center", SCORES)]
