import json
import os
import shutil
import signal

import pytest
from short_run import checkpoint_steps, read_lines

from alexnet_jax.errors import UserError
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.training import loop
from alexnet_jax.training.preemption import Preempted

pytestmark = pytest.mark.slow


def timeless(lines):
    """Drop what depends on the clock."""
    clocks = ("seconds", "images_per_second", "data_wait_fraction")
    return [{k: v for k, v in line.items() if k not in clocks} for line in lines]


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
    assert checkpoint_steps(workdir) == [4, 8, 10]


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
    assert checkpoint_steps(workdir) == [4, 8, 10]


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
    assert checkpoint_steps(workdir) == [4, 6, 8, 10]
    assert "note: metrics.jsonl has no line about the checkpoints 4, 6: " in capsys.readouterr().out


def test_fewer_steps_than_are_done_end_with_both_tests(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    for name in ("result.json", "metrics.jsonl"):
        (workdir / name).unlink()
    config.train.steps = 5
    result = train_and_evaluate(config, workdir, ignore_config=True)
    assert (result["step"], result["ten_crop"]) == (6, finished[1]["ten_crop"])
