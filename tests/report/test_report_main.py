"""The command `report`, as a user calls it; tests/test_docs_commands.py makes a report."""

import subprocess
import sys

REPORT = [sys.executable, "-m", "alexnet_jax.report"]


def call(*arguments, **options):
    return subprocess.run([*REPORT, *arguments], capture_output=True, text=True, **options)


def test_without_a_run_nothing_is_made():
    done = call()
    assert done.returncode == 2 and "--workdir" in done.stderr and "--compare" in done.stderr


def test_a_missing_library_is_named_with_its_extra(tmp_path):
    (tmp_path / "altair.py").write_text("raise ModuleNotFoundError(name='altair')")
    done = call(f"--workdir={tmp_path}", env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"})
    assert done.returncode == 2
    assert "altair" in done.stderr and "alexnet-jax[report]" in done.stderr
    assert "-e '.[report]'" in done.stderr, "in a clone"
