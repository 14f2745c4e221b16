import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from short_run import REPOSITORY

from alexnet_jax.system import process

PROGRAM = """
import importlib
import os
from alexnet_jax.system.process import restart_with_huge_pages
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
    monkeypatch.setattr(process, "_MODE", tmp_path / "enabled")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("it restarted"))
    process.restart_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ


def test_a_system_that_cannot_begin_it_anew_lets_it_go_on(tmp_path, monkeypatch):
    (tmp_path / "enabled").write_text("always [madvise] never")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(process, "_MODE", tmp_path / "enabled")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
    monkeypatch.setattr(sys, "stdout", None)
    process.restart_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ


@pytest.fixture
def heavy_library(tmp_path, monkeypatch):
    """A module that notes whether a large one is there, and that large one."""
    (tmp_path / "large_one.py").touch()
    (tmp_path / "curious.py").write_text(
        "try:\n    import large_one\n    found = True\nexcept ImportError:\n    found = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("large_one", "curious"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("heavy_library")
def test_a_hidden_module_is_not_imported_and_can_be_afterwards():
    assert not process.import_without("large_one", "curious").found
    assert importlib.import_module("large_one")


@pytest.mark.usefixtures("heavy_library")
def test_a_hidden_module_can_be_imported_after_an_error_too():
    with pytest.raises(ModuleNotFoundError):
        process.import_without("large_one", "not_there")
    assert importlib.import_module("large_one")


@pytest.mark.usefixtures("heavy_library")
def test_a_module_in_use_is_not_hidden():
    importlib.import_module("large_one")
    assert process.import_without("large_one", "curious").found


def test_importing_the_package_changes_nothing_of_the_process():
    program = (
        "import gc, logging, resource, signal, sys, threading, warnings\n"
        "def state(): return (gc.get_threshold(), sys.excepthook, sys.unraisablehook,\n"
        "    threading.excepthook, signal.getsignal(signal.SIGTERM), sys.stdout, sys.stderr,\n"
        "    resource.getrlimit(resource.RLIMIT_NOFILE), logging.getLogger('PIL').level,\n"
        "    [filter for filter in warnings.filters if 'PIL' in str(filter)])\n"
        "before = state()\n"
        "import alexnet_jax.main, alexnet_jax.training.loop, alexnet_jax.weights\n"
        "import alexnet_jax.data.decoding.images, alexnet_jax.data.records\n"
        "assert state() == before\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_a_process_may_open_as_many_files_as_the_system_allows():
    program = (
        "from resource import RLIMIT_NOFILE, getrlimit, setrlimit\n"
        "from alexnet_jax.system.process import allow_many_open_files\n"
        "hard = getrlimit(RLIMIT_NOFILE)[1]\n"
        "setrlimit(RLIMIT_NOFILE, (200, hard))\n"
        "allow_many_open_files()\n"
        "assert getrlimit(RLIMIT_NOFILE) == (min(65_536, hard) if hard > 0 else 65_536, hard)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_what_pillow_says_of_odd_files_is_hidden_on_request():
    program = (
        "import logging, warnings\n"
        "from alexnet_jax.system.process import silence_pillow\n"
        "silence_pillow()\n"
        "warnings.warn_explicit('odd', UserWarning, 'f.py', 1, module='PIL.TiffImagePlugin')\n"
        "logging.getLogger('PIL.TiffImagePlugin').critical('odd')\n"
        "warnings.warn('mine')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "mine" in done.stderr
    assert "odd" not in done.stderr
