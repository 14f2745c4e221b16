"""`python -m launch.reproduce` from the command to the page."""

import json
import subprocess
import sys

import pytest
from cluster_runs import environment
from short_run import FRACTALS, REPOSITORY

from alexnet_jax.reproduction import running
from alexnet_jax.reproduction.claims import Claim, Experiment, Setting
from alexnet_jax.reproduction.logs import log_path, read_log
from alexnet_jax.reproduction.running import run_experiments
from alexnet_jax.sweeps.running import local_executor
from alexnet_jax.sweeps.trial_run import TrialRun


def reproduce(*arguments):
    """Run the command; return the exit code, stdout and stderr."""
    command = [sys.executable, "-m", "launch.reproduce", *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def test_the_list_has_what_a_claim_compares_and_costs():
    code, out, _ = reproduce("--list")
    assert code == 0
    assert "compares   no_overlap with baseline" in out
    assert "arm        no_overlap: model.modifications=('no_overlap',)" in out
    assert "--seeds=8 tells 0.39 points from noise, with 24 runs, 55 h on one NVIDIA H200" in out
    assert "on fractals/few: configs/demo.py data.name=fractals/few" in out
    assert "37.5 % top-1 and 17.0 % top-5 error on ILSVRC-2010's test images." in out


def test_the_list_has_the_claims_that_are_named():
    code, out, _ = reproduce("--list", "--claim=relu")
    assert code == 0
    assert "compares   tanh with relu" in out
    assert "no_overlap" not in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data must be given, or --list or --page_only"),
        (["--claim=lrm", "--data=fractals/few"], "--claim=lrm: no such claim; there are relu"),
        (["--claim=relu", "--data=fractals/few"], "claim relu can be tried on fashion_mnist"),
        (["--data=mnist"], "--data=mnist: no claim has it; there are cifar10"),
        (["--data=fractals/few", "--page=nowhere/page.md"], "there is no folder nowhere"),
        (["--data=fractals/few", "--page=docs"], "--page=docs is a folder"),
        (["--page_only"], "has no log of launch.reproduce"),
        (["--data=fractals/few", "--data_dir=nowhere"], "no data set 'fractals/few' in nowhere"),
    ],
)
def test_bad_input_is_told(arguments, message, tmp_path):
    code, _, err = reproduce(*arguments, f"--workdir={tmp_path}", f"--results={tmp_path}")
    assert code == 2
    assert message in err


@pytest.mark.slow
def test_a_damaged_log_is_told_before_the_runs(tmp_path):
    log = log_path(tmp_path, "fractals/few", "ablations")
    log.parent.mkdir()
    log.write_text("{")
    code, out, err = reproduce("--data=fractals/few", f"--results={tmp_path}")
    assert (code, out) == (2, "")
    assert f"{log} is no log of launch.reproduce" in err


SETTING = Setting(
    "configs/demo.py",
    {
        "data.name": FRACTALS,
        "train.batch_size": 8,
        "eval.batch_size": 24,
        "train.steps": 4,
        "schedule.name": "constant",
        "log.every_steps": 2,
        "checkpoint.every_steps": 4,
    },
    target=1.0,  # Every run is there at its first line.
)


def claim(measure, arm, against="baseline", networks=1):
    return Claim("c", "1", "s", "p", "s", measure, "short", arm, against, networks)


@pytest.mark.slow
def test_runs_gaps_and_ensembles_are_logged_and_run_once(fractals_dir, tmp_path, capsys):
    arms = {"baseline": {}, "no_flip": {"augment.flip": False}}
    experiment = Experiment("short", "Short", arms, {FRACTALS: SETTING})
    claims = [claim("gap", "no_flip"), claim("ensemble", "baseline", networks=2)]
    folders = (tmp_path / "runs", tmp_path / "results")

    def run():
        run_experiments(
            [(experiment, claims)], FRACTALS, str(fractals_dir), 1, *folders, local_executor(None)
        )
        return read_log(log_path(folders[1], FRACTALS, "short"))

    log = run()
    assert [(each.arm, each.seed) for each in log.runs] == [
        ("baseline", 0), ("baseline", 1), ("no_flip", 0),
    ]  # fmt: skip
    assert [list(each.seeds) for each in log.ensembles] == [[0, 1]]
    for each in log.runs:
        assert each.training_set["center"]["count"] == 200
        assert len(each.train) == 2
    mistakes = log.runs[0].mistakes["ten_crop"]
    scores = log.runs[0].result["ten_crop"]
    assert len(mistakes) == round(scores["top1_error"] * scores["count"])
    capsys.readouterr()
    assert run() == log
    assert "3 ended before, 0 to run" in capsys.readouterr().out


RAY = """
import sys
from pathlib import Path

from alexnet_jax.reproduction.claims import Claim, Experiment, Setting
from alexnet_jax.reproduction.running import run_experiments
from alexnet_jax.sweeps.running import ray_executor

data, data_dir, folder, overrides = sys.argv[1], sys.argv[2], Path(sys.argv[3]), {overrides}
setting = Setting("configs/demo.py", overrides, target=1.0)
chosen = [
    (
        Experiment(name, "Short", {{"relu": {{}}}}, {{data: setting}}),
        [Claim("c", "1", "s", "p", "s", "sooner", name, "relu", "relu")],
    )
    for name in ("one", "two")
]
execute = ray_executor(cpus=1, gpus=None, grace=1.0, reduction_factor=3.0)
run_experiments(chosen, data, data_dir, 1, folder / "runs", folder / "results", execute)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_ray_runs_what_is_missing_of_several_experiments(fractals_dir, tmp_path):
    command = [sys.executable, "-c", RAY.format(overrides=SETTING.overrides)]
    command += [FRACTALS, str(fractals_dir), str(tmp_path)]

    def run():
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "os.fork() was called" not in done.stderr
        return done.stdout

    run()
    for name in ("one", "two"):
        log = read_log(log_path(tmp_path / "results", FRACTALS, name))
        assert [(each.seed, each.result["step"]) for each in log.runs] == [(0, 4)]
    assert run().count("1 ended before, 0 to run") == 2


def test_no_network_is_evaluated_before_the_last_is_trained(monkeypatch, tmp_path):
    done = []
    monkeypatch.setattr(running, "plan_trials", lambda *arguments: [])
    monkeypatch.setattr(running, "run_missing", lambda *arguments: done.append("train") or {})
    monkeypatch.setattr(running, "read_runs", lambda *arguments: done.append("evaluate") or [])
    monkeypatch.setattr(running, "read_config", lambda root: {})
    chosen = [
        (Experiment(name, "", {"relu": {}}, {FRACTALS: SETTING}), [claim("sooner", "relu", "relu")])
        for name in ("one", "two")
    ]
    run_experiments(chosen, FRACTALS, "", 1, tmp_path, tmp_path, local_executor(None))
    assert done == ["train", "train", "evaluate", "evaluate"]


def test_a_pilot_that_diverged_is_not_run_again(monkeypatch, tmp_path):
    ran = []
    experiment = Experiment("short", "Short", {"relu": {}}, {FRACTALS: SETTING}, (0.001, 9.0))

    def plan_trials(experiment, data, data_dir, trials, root):
        return [TrialRun(trial.name, root / trial.name, (), 4) for trial in trials]

    monkeypatch.setattr(running, "plan_trials", plan_trials)
    monkeypatch.setattr(running, "read_runs", lambda *arguments: [])
    monkeypatch.setattr(running, "fastest_rates", lambda *arguments: {"relu": 0.001})
    monkeypatch.setattr(running, "read_config", lambda root: {})
    pilot = "relu,train.seed=1000,schedule.learning_rate"
    diverged = tmp_path / FRACTALS.replace("/", "_") / "short" / f"{pilot}=9.0"
    diverged.mkdir(parents=True)
    (diverged / "diverged.json").touch()
    run_experiments(
        [(experiment, [claim("sooner", "relu", "relu")])],
        FRACTALS,
        "",
        1,
        tmp_path,
        tmp_path,
        lambda missing, *_: ran.extend(trial.name for trial in missing),
    )
    assert ran == [f"{pilot}=0.001", "relu,schedule.learning_rate=0.001"]


@pytest.mark.slow
def test_each_arm_is_measured_at_the_rate_of_its_fastest_pilot(fractals_dir, tmp_path):
    experiment = Experiment("short", "Short", {"relu": {}}, {FRACTALS: SETTING}, (0.001, 0.002))
    run_experiments(
        [(experiment, [claim("sooner", "relu", "relu")])],
        FRACTALS,
        str(fractals_dir),
        1,
        tmp_path / "runs",
        tmp_path / "results",
        local_executor(None),
    )
    log = read_log(log_path(tmp_path / "results", FRACTALS, "short"))
    # Both pilots are at the target at once; the lower rate is taken.
    assert [(each.seed, each.rate) for each in log.runs] == [
        (0, 0.001), (1000, 0.001), (1000, 0.002),
    ]  # fmt: skip
    trial = (
        tmp_path
        / "runs"
        / FRACTALS.replace("/", "_")
        / "short"
        / ("relu,schedule.learning_rate=0.001")
    )
    assert json.loads((trial / "config.json").read_text())["schedule"]["learning_rate"] == 0.001
