import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from short_run import checkpoint_steps, read_lines, wait_for_step

from alexnet_jax.errors import UserError
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.lock_owner import Owner

pytestmark = pytest.mark.slow


def test_the_workdir_has_what_the_contract_names(finished):
    workdir, _ = finished
    names = {path.name for path in workdir.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
        "result.json",
    }


def test_the_result_has_what_the_contract_names(finished):
    workdir, result = finished
    assert json.loads((workdir / "result.json").read_text()) == result
    assert set(result) == {
        "step",
        "seconds",
        "images_per_second",
        "parameters_sha256",
        "center",
        "ten_crop",
    }
    assert set(result["ten_crop"]) == {"top1_error", "top5_error", "loss", "count"}
    assert (result["step"], result["center"]["count"]) == (6, 40)


def test_a_run_keeps_how_long_compiling_took_beside_the_compiled_programs(finished):
    times = json.loads(Path(jax.config.jax_compilation_cache_dir, "seconds.json").read_text())
    assert times[f"tiny on {jax.devices()[0].device_kind}"] > 0


def test_tests_come_when_they_are_due_and_at_the_end_with_ten_crops(finished):
    tests = [
        (line["step"], line["views"]) for line in read_lines(finished[0]) if line["kind"] == "eval"
    ]
    assert tests == [(4, "center"), (6, "center"), (6, "ten_crop")]


def test_train_lines_have_what_the_contract_names(finished):
    line = next(line for line in read_lines(finished[0]) if line["kind"] == "train")
    assert set(line) >= {
        "step",
        "epoch",
        "loss",
        "learning_rate",
        "images_per_second",
        "data_wait_fraction",
    }


def test_the_speed_of_the_first_line_counts_no_compilation(finished):
    """`seconds` begins before the step is compiled, which takes longer than two steps."""
    line = next(line for line in read_lines(finished[0]) if line["kind"] == "train")
    assert 2 * 32 / line["images_per_second"] < 0.8 * line["seconds"]


def test_a_workdir_that_cannot_be_written_is_named(config):
    with pytest.raises(UserError, match="cannot write to --workdir=/proc/run"):
        train_and_evaluate(config, Path("/proc/run"))


@pytest.fixture
def diverging(config):
    """A config whose rate is so high from step 5 on that its update blows up."""
    config.schedule.update(name="step_decay", boundary_steps=(4,) * 5, factor=1000)
    return config


def test_a_loss_that_is_not_finite_stops_the_run(diverging, tmp_path):
    diverging.eval.every_steps = diverging.checkpoint.every_steps = 100
    with pytest.raises(UserError, match=r"loss of step 6 is .*start in a new --workdir"):
        train_and_evaluate(diverging, tmp_path)
    assert "loss of step 6" in json.loads((tmp_path / "diverged.json").read_text())["reason"]


def test_a_good_checkpoint_outlives_the_latest_while_the_loss_grows(config, tmp_path):
    """From step 5 on the losses are finite for some more saves, but have blown up.

    After that the run goes on as the message says.
    """
    config.schedule.update(name="step_decay", boundary_steps=(4,), factor=100.0)
    config.eval.every_steps = 100
    config.checkpoint.every_steps = 1
    config.train.steps = 10
    message = r"Checkpoint 4 is known to be good.*--resume=ignore_config and a lower"
    with pytest.raises(UserError, match=message):
        train_and_evaluate(config, tmp_path)
    assert checkpoint_steps(tmp_path) == [4]
    later = sorted(int(path.name) for path in (tmp_path / "diverged_checkpoints").iterdir())
    assert len(later) == 2
    assert later[0] > 5
    assert (tmp_path / "diverged.json").exists()
    config.schedule.name = "constant"  # A lower rate than the one that the message names.
    config.train.steps = 6
    assert train_and_evaluate(config, tmp_path, ignore_config=True)["step"] == 6
    assert not (tmp_path / "diverged.json").exists()


def test_a_divergence_that_a_test_finds_is_reported_as_one(diverging, tmp_path):
    """The last step before the test has a finite loss and an update that blows up."""
    diverging.eval.every_steps = 5
    with pytest.raises(UserError, match=r"not finite.*Checkpoint 4 is known to be good"):
        train_and_evaluate(diverging, tmp_path)
    assert all("NaN" not in json.dumps(line) for line in read_lines(tmp_path))


def test_a_network_that_learns_nothing_is_warned_about(config, tmp_path, capsys):
    """Here after two steps; once, however short the windows of tests and saves are after it."""
    config.log.update(stuck_after_steps=2, every_steps=3)
    train_and_evaluate(config, tmp_path)
    assert capsys.readouterr().out.count("still that of guessing") == 1


@pytest.mark.parametrize("optimizer", ["krizhevsky_sgd", "pytorch_sgd"])
def test_a_plateau_lowers_the_rate_and_survives_an_interruption(optimizer, config, tmp_path):
    """No error can improve by 2: each test after the first is one too many."""
    config.optimizer.name = optimizer
    config.schedule.update(name="plateau", patience=1, threshold=2.0)
    config.eval.every_steps = 2
    config.train.steps = 6
    whole = train_and_evaluate(config, tmp_path / "whole")
    rates = [
        round(line["learning_rate"], 7)
        for line in read_lines(tmp_path / "whole")
        if line["kind"] == "train"
    ]
    assert rates == [0.01, 0.01, 0.001]
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "6")
    (tmp_path / "again" / "result.json").unlink()
    again = train_and_evaluate(config, tmp_path / "again")
    assert again["parameters_sha256"] == whole["parameters_sha256"]


def test_a_run_whose_workdir_another_one_took_writes_nothing_more(config, tmp_path):
    """As after a long standstill, where locks do not reach other hosts."""
    config.train.steps, config.eval.every_steps = 100_000, 50_000
    workdir = tmp_path / "run"
    taken = {}

    def take():
        wait_for_step(workdir, 2)
        other = replace(Owner.this_process(), host="elsewhere", pid=4711)
        atomic_write(workdir / "run.lock", other.to_json())
        taken["log"] = (workdir / "metrics.jsonl").read_text()

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        with pytest.raises(UserError, match=r"another one \(host elsewhere, pid 4711\)"):
            train_and_evaluate(config, workdir)
        taking.result()
    # One line may have been on its way.
    added = (workdir / "metrics.jsonl").read_text().removeprefix(taken["log"])
    assert added.count("\n") <= 1
    assert Owner.read((workdir / "run.lock").read_text()).pid == 4711
