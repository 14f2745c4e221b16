import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from short_run import wait_for_step

from alexnet_jax.errors import UserError
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.lock_owner import Owner
from alexnet_jax.training import loop
from alexnet_jax.training.preemption import Preempted

pytestmark = pytest.mark.slow


def read_lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def timeless(lines):
    """Drop what depends on the clock."""
    clocks = ("seconds", "images_per_second", "data_wait_fraction")
    return [{k: v for k, v in line.items() if k not in clocks} for line in lines]


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


def test_a_finished_run_is_not_run_again(finished, config):
    workdir, result = finished
    before = (workdir / "metrics.jsonl").stat().st_mtime_ns
    assert train_and_evaluate(config, workdir) == result
    assert (workdir / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_run_that_lost_its_last_steps_ends_with_the_same_bits_and_lines(
    finished, config, tmp_path
):
    """What a kill leaves: a checkpoint of some step, and a log that went further."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    lines = timeless(read_lines(workdir))
    again = train_and_evaluate(config, workdir)
    assert again["parameters_sha256"] == finished[1]["parameters_sha256"]
    assert timeless(read_lines(workdir)) == lines


def test_a_run_continues_in_another_layout(finished, config, tmp_path):
    """With the same batches and draws, so that its numbers differ by rounding only."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    config.parallel.update(layout="hybrid", model_axis=2)
    again = train_and_evaluate(config, workdir)
    assert again["step"] == 6
    assert again["center"]["loss"] == pytest.approx(finished[1]["center"]["loss"], rel=1e-5)


def test_sigterm_saves_and_the_run_continues_to_the_same_bits(
    finished, config, tmp_path, monkeypatch
):
    """The signal arrives while the third step runs and the fourth batch is fetched."""
    prefetch_to_device = loop.prefetch_to_device

    def interrupted(batches, start, threads, mesh):
        for number, batch in enumerate(prefetch_to_device(batches, start, threads, mesh)):
            if number == 3 and batches.__class__.__name__ == "TrainingBatches":
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patched:
        patched.setattr(loop, "prefetch_to_device", interrupted)
        with pytest.raises(Preempted):
            train_and_evaluate(config, tmp_path)
    assert (tmp_path / "checkpoints" / "3").is_dir()
    result = train_and_evaluate(config, tmp_path)
    assert result["parameters_sha256"] == finished[1]["parameters_sha256"]


def checkpoints(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def test_ignore_config_continues_with_new_values_and_the_best_checkpoint(
    finished, config, tmp_path
):
    """In two more starts, with new values; in the log, the test of step 4 was the best."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    lines = read_lines(workdir)
    for line in lines:
        if (line["kind"], line["step"]) == ("eval", 4):
            line["top1_error"] = 0.0
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for steps in (8, 10):
        config.train.steps = steps
        assert train_and_evaluate(config, workdir, ignore_config=True)["step"] == steps
    assert checkpoints(workdir) == [4, 8, 10]


def test_a_test_that_was_interrupted_and_is_made_up_for_can_name_the_best(
    finished, config, tmp_path, monkeypatch
):
    """What SIGTERM in a test leaves: a checkpoint whose test the log does not have."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    lines = [line for line in read_lines(workdir) if line["kind"] == "train"]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluate_split, errors = loop.evaluate_split, iter([0.1, 0.5, 0.5])

    def with_given_errors(*arguments):
        evaluated = evaluate_split(*arguments)
        evaluated["center"].scores["top1_error"] = next(errors)
        return evaluated

    monkeypatch.setattr(loop, "evaluate_split", with_given_errors)
    config.train.steps = 10
    train_and_evaluate(config, workdir, ignore_config=True)
    assert checkpoints(workdir) == [4, 8, 10]


def test_another_config_in_the_same_workdir_is_refused(finished, config):
    config.train.seed = 8
    config.schedule.learning_rate = 0.5
    with pytest.raises(UserError) as caught:
        train_and_evaluate(config, finished[0])
    message = str(caught.value)
    assert "schedule.learning_rate: 0.01 -> 0.5; train.seed: 0 -> 8" in message
    assert "--resume=ignore_config" in message


def test_a_damaged_result_is_written_anew(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "result.json").write_text('{"step": ')
    assert train_and_evaluate(config, workdir) == finished[1]


def test_a_lost_log_costs_only_the_log(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    for name in ("result.json", "metrics.jsonl"):
        (workdir / name).unlink()
    result = train_and_evaluate(config, workdir)
    assert result["center"] == finished[1]["center"]
    assert result["images_per_second"] is None


def test_a_test_whose_line_was_cut_short_is_made_again(finished, config, tmp_path):
    """So that its checkpoint can be the best."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "result.json").unlink()
    whole = (workdir / "metrics.jsonl").read_text()
    place = whole.index('"kind": "eval", "step": 6, "views": "center"')
    (workdir / "metrics.jsonl").write_text(whole[: place + 80])
    assert train_and_evaluate(config, workdir)["center"] == finished[1]["center"]
    assert timeless(read_lines(workdir)) == timeless(read_lines(finished[0]))


def test_checkpoints_that_a_lost_log_no_longer_tells_of_stay(finished, config, tmp_path, capsys):
    """One of them may be the best, and only the log knew which."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "metrics.jsonl").unlink()
    config.train.steps = 10
    train_and_evaluate(config, workdir, ignore_config=True)
    assert checkpoints(workdir) == [4, 6, 8, 10]
    assert "note: metrics.jsonl has no line about the checkpoints 4, 6: " in capsys.readouterr().out


def test_fewer_steps_than_are_done_end_with_both_tests(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    for name in ("result.json", "metrics.jsonl"):
        (workdir / name).unlink()
    config.train.steps = 5
    result = train_and_evaluate(config, workdir, ignore_config=True)
    assert (result["step"], result["ten_crop"]) == (6, finished[1]["ten_crop"])


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
    assert checkpoints(tmp_path) == [4]
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
