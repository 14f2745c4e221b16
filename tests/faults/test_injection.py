"""The tool itself: does what it says, and nothing else."""

import os
import subprocess
import sys

import pytest
from faults.injection import faulty

PROGRAM = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
def attempt(name, what):
    try:
        what()
    except OSError as error:
        print(name, error.strerror)
def write():
    with open(folder / "aim", "w") as file:
        file.write("text")
        file.flush()
        os.fsync(file.fileno())
attempt("write", write)
attempt("read", (folder / "aim").read_text)
attempt("other", lambda: (folder / "other").write_text("text"))
attempt("rename", lambda: (folder / "other").rename(folder / "aim2"))
attempt("mkdir", lambda: (folder / "aim3").mkdir())
attempt("unlink", lambda: (folder / "aim").unlink())
attempt("again", write)
"""


def run(folder, **faults):
    return subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, str(folder)],
        env=os.environ | faults,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.mark.parametrize(
    ("call", "failing"),
    [
        ("open", ["write", "read", "unlink", "again"]),
        ("read", ["read"]),
        ("write", ["write", "again"]),
        ("fsync", ["write", "again"]),
        ("rename", ["rename"]),
        ("mkdir", ["mkdir"]),
        ("unlink", ["unlink"]),
    ],
)
def test_a_call_on_the_path_fails_and_nothing_else(tmp_path, call, failing):
    lines = run(tmp_path, **faulty(call, f"{tmp_path}/aim", "EROFS"))
    if call == "open":  # Nothing was written, so there is nothing to unlink either.
        assert lines.pop(2) == "unlink No such file or directory"
        failing.remove("unlink")
    assert lines == [f"{name} Read-only file system" for name in failing]


def test_only_as_many_fail_as_asked_and_each_is_logged(tmp_path):
    log = tmp_path / "log"
    lines = run(tmp_path, **faulty("write", f"{tmp_path}/aim", "EIO", count=1, log=log))
    assert lines == ["write Input/output error"]
    assert log.read_text() == f"write {tmp_path}/aim\n"


def test_it_can_begin_later(tmp_path):
    lines = run(tmp_path, **faulty("write", f"{tmp_path}/aim", "EIO", first=2))
    assert lines == ["again Input/output error"]
