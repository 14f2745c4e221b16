import io

from alexnet_jax.progress import Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(total, unit, events):
    """What is printed when `events`, (seconds, amount), happen."""
    stream, clock = io.StringIO(), Clock()
    with Progress("reading a.tar", total, unit, stream=stream, clock=clock) as progress:
        for seconds, amount in events:
            clock.now = seconds
            progress.advance(amount)
    return stream.getvalue().splitlines()


def test_a_line_every_ten_seconds_tells_share_and_time_left():
    events = [(1, 10**9), (10, 10**9), (15, 10**9), (25, 10**9)]
    assert lines(100 * 10**9, "B", events) == [
        "reading a.tar: 2.00 of 100.00 GB (2%), 8:10 left",
        "reading a.tar: 4.00 of 100.00 GB (4%), 10:00 left",
    ]


def test_hours_and_images_are_written_out():
    assert lines(1_281_167, "images", [(10, 1_000)]) == [
        "reading a.tar: 1,000 of 1,281,167 images (0%), 3:33:22 left"
    ]


def test_short_work_is_silent_without_a_terminal():
    assert lines(10, "images", [(1, 5), (9, 5)]) == []


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with Progress("reading a.tar", 10, "images", stream=stream) as progress:
        progress.advance(5)
    assert "reading a.tar" in stream.getvalue()
    assert "0/10" in stream.getvalue()
