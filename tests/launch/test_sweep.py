"""Sweeps as users meet them: real trials, killed and started again."""

import json
import os
import re
import signal

import pytest
from sweep_process import events, processes_of, run, small_training, started, wait_until

pytestmark = pytest.mark.slow

SWEEP = """
def get_sweep():
    return [
        {},
        {"schedule.learning_rate": 0.02},
        {"train.init_from": "nowhere"},
    ]
"""
SECOND, FAILING = "schedule.learning_rate=0.02", "train.init_from=nowhere"


@pytest.fixture
def arguments(fractals_dir, tmp_path):
    """Three trials of twenty small steps, of which the last fails."""
    (tmp_path / "three.py").write_text(SWEEP)
    return [
        *small_training(fractals_dir),
        "--config.train.steps=20",
        "--config.eval.every_steps=10",
        "--config.log.every_steps=1",
        f"--sweep={tmp_path}/three.py",
        f"--workdir={tmp_path}/sweep",
    ]


def reached(workdir, step):
    log = workdir / "metrics.jsonl"
    return log.exists() and f'"step": {step},' in log.read_text()


def test_a_sweep_killed_and_stopped_runs_only_what_is_missing(arguments, tmp_path):
    root = tmp_path / "sweep"

    with started(*arguments):
        wait_until(lambda: reached(root / "baseline", 7))
    wait_until(lambda: not processes_of(root), seconds=5)

    with started(*arguments) as process:
        wait_until(lambda: reached(root / SECOND, 7))
        first = (root / "baseline" / "result.json").read_text()
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    assert err == "stopped by SIGTERM; saved. The same command resumes from here.\n"
    assert processes_of(root) == []
    last = (root / SECOND / "metrics.jsonl").read_text().splitlines()[-1]
    assert (root / SECOND / "checkpoints" / str(json.loads(last)["step"])).is_dir()

    os.utime(root / "baseline" / "result.json", (1, 1))
    code, out, err = run(*arguments)
    assert code == 2
    assert f"failed: {FAILING}, exit code 2: error: nowhere is no workdir" in err
    assert f"{SECOND} continues" in out
    assert "| baseline " in out
    assert (root / "baseline" / "result.json").stat().st_mtime == 1
    assert json.loads(first)["step"] == 20
    assert events(root) == [
        ("baseline", "started"),
        ("baseline", "started"),
        ("baseline", "finished"),
        (SECOND, "started"),
        (SECOND, "started"),
        (SECOND, "finished"),
        (FAILING, "started"),
        (FAILING, "failed"),
    ]

    code, out, _ = run("--table", f"--workdir={root}")
    assert code == 0
    top1 = json.loads(first)["center"]["top1_error"]
    assert re.search(rf"\| baseline( \(best\))? +\|   1 \| {100 * top1:>14.2f} \|", out)
    assert f"no result: {FAILING}" in out


def test_side_by_side_each_trial_has_gpus_of_its_own(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    root = tmp_path / "sweep"
    with started(*arguments, "--gpus_per_trial=1") as process:
        wait_until(lambda: len(processes_of(root)) == 2)
        process.terminate()
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "baseline starts on GPU 4" in out
    assert f"{SECOND} starts on GPU 7" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--workdir must be given"),
        (["--workdir=w"], "--config must be given, or --table"),
        (["--workdir=w", "--config=configs/demo.py"], "--sweep must be given"),
        (["--workdir=w", "--config=configs/demo.py", "--sweep=no.py"], "no.py: there is no such"),
        (["--workdir=w", "--table"], "w holds no sweep"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(flags, message):
    code, out, err = run(*flags)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_an_unknown_key_starts_nothing(arguments, tmp_path):
    (tmp_path / "three.py").write_text("def get_sweep():\n    return [{}, {'train.sed': 1}]")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "train.sed is unknown; did you mean config.train.seed?" in err
    assert not (tmp_path / "sweep").exists()


def test_a_sweep_ends_with_the_test_that_started_it():
    with pytest.raises(AssertionError, match="as when a test fails"), started("--help") as process:
        raise AssertionError("as when a test fails")
    assert process.returncode == -signal.SIGKILL


def test_help_says_what_it_does():
    code, out, _ = run("--help")
    assert code == 0
    assert out.startswith("Train one config many times")
    assert "--gpus_per_trial" in out
