import os
import subprocess
import sys
from pathlib import Path

import pytest
from short_run import REPOSITORY

from alexnet_jax import huge_pages

PROGRAM = """
import os
from alexnet_jax.huge_pages import restart_with_huge_pages
print("begins", os.getpid(), flush=True)
restart_with_huge_pages()
print("goes on", os.getpid(), os.environ.get("GLIBC_TUNABLES"))
"""
ON_REQUEST = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def run(**tunables):
    environment = {name: os.environ[name] for name in os.environ if name != "GLIBC_TUNABLES"}
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env=environment | tunables,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split() for line in program.stdout.splitlines()]


@pytest.mark.skipif(
    not ON_REQUEST.is_file() or "[madvise]" not in ON_REQUEST.read_text(),
    reason="this machine gives large pages to all, or to none",
)
def test_a_program_begins_anew_once_in_the_same_process():
    first, second, (*_, process, tunables) = run()
    assert first == second
    assert (process, tunables) == (first[1], "glibc.malloc.hugetlb=1")


def test_settings_of_the_user_are_left_alone():
    assert len(run(GLIBC_TUNABLES="glibc.malloc.check=0")) == 2


@pytest.mark.parametrize("mode", ["[always] madvise never", "always madvise [never]", None])
def test_a_system_with_nothing_to_ask_for_is_left_alone(mode, tmp_path, monkeypatch):
    if mode:
        (tmp_path / "enabled").write_text(mode)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(huge_pages, "_MODE", tmp_path / "enabled")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("it began anew"))
    huge_pages.restart_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ


def test_a_system_that_cannot_begin_it_anew_lets_it_go_on(tmp_path, monkeypatch):
    (tmp_path / "enabled").write_text("always [madvise] never")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(huge_pages, "_MODE", tmp_path / "enabled")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
    monkeypatch.setattr(sys, "stdout", None)
    huge_pages.restart_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ
