"""A sweep with Ray Tune and ASHA, killed and started again."""

import json

import psutil
import pytest
from sweep_process import events, processes_of, run, small_training, started, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

# A rate at which this network learns in sixty steps, and three at which it does not.
RATES = [0.003, 1e-9, 2e-9, 3e-9]


def name(rate):
    return f"schedule.learning_rate={rate}"


@pytest.fixture
def arguments(fractals_dir, tmp_path):
    """Four trials of seventy steps; the best quarter continues after sixty."""
    (tmp_path / "four.py").write_text(
        "from alexnet_jax.sweeps import grid\n\n"
        f"def get_sweep():\n    return grid({{'schedule.learning_rate': {RATES}}})\n"
    )
    return [
        *small_training(fractals_dir),
        "--config.model.modifications=('no_dropout',)",
        "--config.augment.crop=center",
        "--config.augment.color_noise=0.0",
        "--config.augment.flip=False",
        "--config.schedule.name=constant",
        "--config.train.batch_size=32",
        "--config.train.steps=70",
        "--config.eval.every_steps=60",
        "--config.log.every_steps=10",
        f"--sweep={tmp_path}/four.py",
        f"--workdir={tmp_path}/sweep",
        "--executor=ray",
        "--grace=0.8",
        "--reduction_factor=4",
    ]


def test_asha_stops_trials_that_do_not_learn_also_after_a_kill(arguments, tmp_path):
    root = tmp_path / "sweep"
    good = root / name(RATES[0])

    with started(*arguments):
        wait_until(lambda: (name(RATES[0]), "finished") in events(root))
        result = (good / "result.json").read_text()
    wait_until(lambda: not processes_of(root), seconds=20)
    before = events(root)

    code, out, err = run(*arguments)
    assert code == 0, err
    after = events(root)[len(before) :]
    assert (name(RATES[0]), "started") not in after
    assert (good / "result.json").read_text() == result
    # The good trial has learned after sixty steps, so ASHA stops those that it compares with it.
    for rate in RATES[2:]:
        assert (name(rate), "stopped_early") in before + after
        assert not (root / name(rate) / "result.json").exists()
    assert "stopped early after step 60 with a center crop top-1 error of 9" in out
    assert json.loads(result)["center"]["top1_error"] < 0.8

    code, out, _ = run(*arguments)
    assert code == 0
    assert ": 4 ended before, 0 to run" in out
    assert events(root) == before + after


def test_trials_are_as_urgent_as_the_sweep_and_save_at_sigterm(arguments, tmp_path):
    root = tmp_path / "sweep"
    log = root / name(RATES[0]) / "metrics.jsonl"
    with started(*arguments, "--cpus_per_trial=2") as process:
        wait_until(lambda: log.exists() and log.read_text())
        # Trials are as urgent as the sweep; Ray would start them at niceness 15.
        nice = {psutil.Process(pid).nice() for pid in processes_of(root)}
        assert nice == {psutil.Process().nice()}
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (
        75,
        "stopped by SIGTERM; saved. The same command resumes from here.\n",
    )
    last = json.loads(log.read_text().splitlines()[-1])["step"]
    assert (root / name(RATES[0]) / "checkpoints" / str(last)).is_dir()
    assert events(root) == [(name(RATES[0]), "started")]


def test_a_trial_that_fails_is_reported_and_the_others_finish(arguments, tmp_path):
    root = tmp_path / "sweep"
    sweep = "[{'train.init_from': 'nowhere'}, {'train.seed': 1}]"
    (tmp_path / "four.py").write_text(f"def get_sweep():\n    return {sweep}\n")
    code, _, err = run(*arguments, "--config.train.steps=2")
    assert code == 2
    failing = "train.init_from=nowhere"
    assert f"failed: {failing}, exit code 2: error: nowhere is no workdir" in err
    assert [event for name, event in events(root) if name == failing] == ["started", "failed"]
    assert ("train.seed=1", "finished") in events(root)


def test_a_cluster_that_is_not_there_is_one_line_and_exit_code_3(arguments, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    code, _, err = run(*arguments)
    assert (code, err.count("\n")) == (3, 1), err
    assert err.startswith("error: Ray does not start (") and "check RAY_ADDRESS" in err
