"""What becomes of the work when nobody can take what it prints."""

import os
import signal
import subprocess
import sys

import pytest
from short_run import REPOSITORY

# A command that works for a while, and says so in more than a pipe holds.
PROGRAM = """
import pathlib, sys
from alexnet_jax import cli
def main(arguments):
    for number in range(40_000):
        print("line", number, "→ …")
        print("line", number, "→ …", file=sys.stderr)
    pathlib.Path(arguments[0]).write_text("done")
cli.run(main, prints_result=len(sys.argv) > 2)
"""


def run(tmp_path, redirections, *arguments, **variables):
    """Run the program in a shell; return its exit code, what it printed, whether it finished."""
    command = f'"$@" {redirections}; echo "code $?" >{tmp_path}/code'
    words = [sys.executable, "-c", PROGRAM, f"{tmp_path}/done", *arguments]
    done = subprocess.run(
        ["sh", "-c", command, "sh", *words],
        cwd=REPOSITORY,
        env=os.environ | variables,
        capture_output=True,
        timeout=300,
        check=False,
    )
    code = int((tmp_path / "code").read_text().split()[1])
    return code, done, (tmp_path / "done").exists()


PLACES = ["2>&1 >/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("place", PLACES)
def test_output_that_nobody_can_take_does_not_stop_the_work(tmp_path, place):
    code, _, finished = run(tmp_path, place)
    assert (code, finished) == (0, True)


@pytest.mark.parametrize("place", ["", "2>&1"])
def test_a_reader_that_goes_away_does_not_stop_the_work(tmp_path, place):
    words = [sys.executable, "-c", PROGRAM, f"{tmp_path}/done"]
    error = subprocess.STDOUT if place else subprocess.DEVNULL
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=error) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=300) == 0
    assert (tmp_path / "done").exists()


def test_a_result_that_is_lost_is_no_success(tmp_path):
    code, done, finished = run(tmp_path, ">/dev/full", "result")
    assert (code, finished) == (3, True)
    assert done.stderr.endswith(b"\nerror: standard output: No space left on device\n")
    assert run(tmp_path, ">&-", "result")[0] == 3


def test_a_result_whose_reader_goes_away_ends_as_other_programs_do(tmp_path):
    words = [sys.executable, "-c", PROGRAM, f"{tmp_path}/done", "result"]
    with subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=300) == 128 + signal.SIGPIPE


def test_a_console_of_ascii_gets_escapes(tmp_path):
    code, done, finished = run(tmp_path, "", PYTHONIOENCODING="ascii")
    assert (code, finished) == (0, True)
    assert done.stdout.startswith(b"line 0 \\u2192 \\u2026\n")
