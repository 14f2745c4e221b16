import io
import re
import subprocess
import sys

import pytest

from alexnet_jax.system import progress
from alexnet_jax.system.progress import Progress, announced, clock, say


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(total, unit, events):
    """What is printed when `events`, (seconds, amount), happen."""
    stream, time = io.StringIO(), Clock()
    with Progress("reading a.tar", total, unit, stream=stream, clock=time) as progress:
        for seconds, amount in events:
            time.now = seconds
            progress.advance(amount)
    return stream.getvalue().splitlines()


def test_a_line_every_ten_seconds_tells_share_and_time_left():
    events = [(1, 10**9), (10, 10**9), (15, 10**9), (25, 10**9)]
    assert lines(100 * 10**9, "B", events) == [
        "reading a.tar: 2.00 of 100.00 GB (2%), 14:42 left",
        "reading a.tar: 4.00 of 100.00 GB (4%), 12:48 left",
    ]


def test_what_starts_once_does_not_count_for_the_time_left():
    """Twenty seconds until the first batch, then one a second: not two hours for a hundred."""
    events = [(20, 1), (21, 1), (22, 1), (30, 8)]
    assert lines(111, "batches", events)[-1].endswith("11 of 111 batches (10%), 1:40 left")


def test_one_large_piece_gives_an_estimate_until_the_second_comes(terminal):
    time = Clock()
    with Progress("reading", 4, "files", stream=terminal, clock=time) as progress:
        time.now = 10.0
        progress.advance(1)
        time.now = 15.0
        assert progress._render().plain.endswith("0.067 files/s  0:45 left")


def test_hours_and_images_are_written_out():
    assert lines(1_281_167, "images", [(10, 1_000)]) == [
        "reading a.tar: 1,000 of 1,281,167 images (0%), 3:33:22 left"
    ]


def test_short_work_is_silent_without_a_terminal():
    assert lines(10, "images", [(1, 5), (9, 5)]) == []


def test_long_work_prints_lines_more_rarely():
    """A line waits for a twentieth of the time so far: 50 s after 1,000 s."""
    events = [(1000, 1), (1040, 1), (1060, 1)]
    assert len(lines(10, "images", events)) == 2


def test_work_that_was_done_before_does_not_count_for_the_rate():
    stream, time = io.StringIO(), Clock()
    with Progress("training", 30, "steps", done=10, stream=stream, clock=time) as progress:
        time.now = 10.0
        progress.advance(10)
    assert stream.getvalue() == "training: 20 of 30 steps (67%), 0:10 left\n"


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def last_screen(stream):
    """The text of the last refresh, without control sequences."""
    shown = re.sub(r"\x1b\[\??\d*[A-Za-z]", "", stream.getvalue()).rstrip()
    return shown.rpartition("\r")[2]


def test_a_terminal_gets_a_bar_with_amount_rate_and_time_left(terminal):
    time = Clock()
    with Progress("reading", 100, "images", stream=terminal, clock=time) as progress:
        time.now = 2.0
        progress.advance(50)
    assert last_screen(terminal) == (
        f"reading  {20 * '━'}{20 * '╌'}  50 of 100 images (50%)  25 images/s  0:02 left"
    )


def test_the_bar_keeps_its_width_when_the_numbers_get_shorter(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    time = Clock()
    with Progress("reading", 60_000, "images", stream=terminal, clock=time) as progress:
        widths = []
        for time.now, more in ((60.0, 8), (61.0, 30_000)):
            progress.advance(more)
            widths.append(sum(map(progress._render().plain.count, "━╌")))
    assert widths == [9, 9]


def test_notes_are_lines_below_the_bar(terminal):
    with Progress("training", 10, "steps", stream=terminal) as progress:
        progress.notes = ["loss 1.0"]
    assert last_screen(terminal).splitlines()[1] == "  loss 1.0"


def test_a_narrow_terminal_breaks_notes_between_their_parts(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with Progress("training", 10, "steps", stream=terminal) as progress:
        progress.notes = ["loss 1.0  waiting 0.0%  best error 50.00% at step 40"]
    lines = last_screen(terminal).splitlines()[-2:]
    assert lines == ["  loss 1.0  waiting 0.0%", "  best error 50.00% at step 40"]


def test_work_of_unknown_length_shows_its_time(terminal):
    time = Clock()
    with Progress("compiling the step", None, stream=terminal, clock=time):
        time.now = 65.0
    assert last_screen(terminal) == "compiling the step  1:05"


def test_bars_that_are_open_at_once_are_shown_below_each_other(terminal):
    with (
        Progress("training", 10, "steps", stream=terminal),
        Progress("evaluating", 10, "images", stream=terminal),
    ):
        pass
    shown = [line.split()[0] for line in last_screen(terminal).splitlines()]
    assert shown == ["training"], "the inner one is gone when it has ended"
    assert re.search(r"training.*\n.*evaluating", terminal.getvalue())


def test_a_line_that_is_printed_meanwhile_stands_above_the_bar(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    with Progress("training", 10, "steps", stream=terminal):
        say("step 5: saved")
    assert re.search("step 5: saved\n.*training", terminal.getvalue())


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress("reading", 10, "images", stream=terminal) as progress:
        progress.advance(5)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (75, "1:15"), (3675, "1:01:15"), (90_000, "1 day 1:00:00")],
)
def test_a_duration_is_written_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_silenced_program_says_and_shows_nothing():
    script = """
from alexnet_jax.system.progress import Progress, say, silence
silence()
say("step 5")
with Progress("reading", 10, "images", clock=iter([0, 20]).__next__) as progress:
    progress.advance(5)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def time(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress.time, "monotonic", time)
    return time


def announce(time, folder, *durations):
    """Announce work that takes so many seconds, again and again."""
    for seconds in durations:
        with announced("compiling", "tiny", folder and str(folder)):
            time.now += seconds


def test_work_is_announced_with_the_longest_time_that_its_kind_took(time, tmp_path, capsys):
    announce(time, tmp_path, 12.4, 0.1, 0.1)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["compiling", *2 * ["compiling (up to 12 s before)"]]


def test_the_times_of_other_kinds_stay(time, tmp_path, capsys):
    (tmp_path / "seconds.json").write_text('{"owt": 40.0}')
    announce(time, tmp_path, 12.4)
    assert (tmp_path / "seconds.json").read_text() == '{"owt": 40.0, "tiny": 12.4}'


def test_a_terminal_shows_the_longest_time_in_the_live_display(
    time, tmp_path, terminal, monkeypatch
):
    monkeypatch.setattr(sys, "stderr", terminal)
    announce(time, tmp_path, 12.4, 0.1)
    assert "compiling (up to 12 s before)  0:00" in terminal.getvalue()


def test_short_work_is_announced_without_a_time(time, tmp_path, capsys):
    announce(time, tmp_path, 0.4, 0.4)
    assert capsys.readouterr().out == "compiling\ncompiling\n"


@pytest.mark.parametrize("text", ["", "[1]", "[[1, 2]]", '{"tiny": null}', '{"tiny": "x"}', "3"])
def test_a_damaged_file_of_times_is_none(time, tmp_path, capsys, text):
    (tmp_path / "seconds.json").write_text(text)
    announce(time, tmp_path, 12.4)
    assert capsys.readouterr().out == "compiling\n"


@pytest.mark.parametrize("folder", [None, "no/such"])
def test_without_a_folder_no_time_is_kept(time, folder, capsys):
    announce(time, folder, 12.4, 12.4)
    assert capsys.readouterr().out == "compiling\ncompiling\n"
