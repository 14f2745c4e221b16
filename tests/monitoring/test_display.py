"""What a run prints while it trains."""

import io
import re
import sys

import pytest

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.monitoring.display import RunDisplay

VALUES = {
    "loss": 1.0,
    "top1_error": 0.5,
    "learning_rate": 0.01,
    "images_per_second": 100.0,
    "data_wait_fraction": 0.0,
    "epoch": 1.0,
}
SCORES = {"top1_error": 0.5, "top5_error": 0.1, "loss": 1.0, "count": 8}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def become_terminal(monkeypatch):
    """A function that makes both streams a terminal of 100 columns, and returns it."""

    def become():
        terminal = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")
        # Not in the fixture: pytest replaces the streams once more before the test.
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        return terminal

    return become


def test_without_a_terminal_a_line_says_how_it_goes(capsys):
    # 5 steps of 1,800 images are left.
    RunDisplay(0, 10, 1800).train(5, VALUES)
    assert capsys.readouterr().out == (
        "step 5/10  epoch 1.00  loss 1.0000  training error 50.00%  100 images/s  rate 1.00e-02  "
        "waiting 0.0%  1:30 left\n"
    )


def test_an_evaluation_is_a_line_with_errors_in_per_cent(capsys):
    RunDisplay(0, 10, 1).evaluation(5, "ten_crop", SCORES)
    assert capsys.readouterr().out == (
        "step 5: validation, ten crops: top-1 error 50.00%, top-5 error 10.00%, loss 1.0000 on 8 "
        "images\n"
    )


def test_a_metric_of_the_registry_is_shown_with_the_others(capsys, monkeypatch):
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    RunDisplay(0, 10, 1).evaluation(5, "center", SCORES | {"top10_error": 0.25})
    assert "loss 1.0000, top-10 error 25.00% on 8 images" in capsys.readouterr().out


def test_a_terminal_shows_the_numbers_below_the_bar_instead_of_in_lines(become_terminal):
    terminal = become_terminal()
    with RunDisplay(4, 10, 1, [{"step": 2, "top1_error": 0.25}]) as display:
        display.advance(6)
        display.train(6, VALUES)
        display.evaluation(6, "center", SCORES)
        display.saved(6)
    shown = re.sub(r"\x1b\[\??\d*[A-Za-z]", "", terminal.getvalue()).rstrip().rpartition("\r")[2]
    bar, *notes = shown.splitlines()
    assert bar.startswith("training")
    assert "6 of 10 steps (60%)" in bar
    assert notes == [
        "  epoch 1.00  loss 1.0000  training error 50.00%  100 images/s  rate 1.00e-02  waiting "
        "0.0%",
        "  validation error 50.00% at step 6  best 25.00% at step 2  saved at step 6",
    ]
    assert "step 6/10" not in terminal.getvalue()


def test_a_terminal_keeps_a_line_of_each_evaluation(become_terminal):
    terminal = become_terminal()
    with RunDisplay(4, 10, 1) as display:
        display.evaluation(6, "center", SCORES)
    assert "step 6: validation, center crop: top-1 error 50.00%" in terminal.getvalue()


def test_lines_that_go_to_a_file_have_all_numbers_even_beside_a_terminal(
    become_terminal, monkeypatch, tmp_path
):
    become_terminal()
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with RunDisplay(4, 10, 1) as display:
            display.train(6, VALUES)
    assert (tmp_path / "out").read_text().startswith("step 6/10  epoch 1.00")
