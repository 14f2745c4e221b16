"""What a run prints at its start."""

import shutil

import jax.numpy as jnp
import pytest

from alexnet_jax.runs.fine_tuning import describe_pretrained
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.summary import late_changes, notes_on, summarize_run
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.training import loop
from alexnet_jax.training.from_config import resolve_durations
from alexnet_jax.training.state import TrainState
from configs import demo


@pytest.fixture
def summary_of():
    """A function that returns the rows of a config's summary by name."""

    def summary_of(config):
        text = summarize_run(build_run(config))
        return {line[:11].strip(): line[11:] for line in text.splitlines()}

    return summary_of


def test_it_names_network_devices_data_and_steps(config, fractals_dir, summary_of):
    config.data.threads = 3
    assert summary_of(config) == {
        "network": "tiny, 182,778 parameters",
        "precision": "float32, products float32",
        "devices": "4 x cpu, layout data",
        "data": "200 training and 40 validation images, 10 classes",
        "": f"fractals/demo_20 in {fractals_dir}, from records with 3 threads",
        "run": "6 steps of 32 images, 0.96 epochs",
        "optimizer": "krizhevsky_sgd, constant, learning rate 0.01, seed 0",
        "start": "new parameters",
    }


def test_microbatches_are_named(config, summary_of):
    config.train.microbatch_size = 16
    assert summary_of(config)["devices"] == "4 x cpu, 2 microbatches a step, layout data"


def test_a_rate_that_changes_after_the_end_is_noted(config):
    config.schedule.update(name="step_decay", boundaries=(0.1, 30, 60))
    (note,) = notes_on(build_run(config), [])
    assert note.startswith(
        "note: the run ends at step 6, before these changes: schedule.boundaries=30; "
        "schedule.boundaries=60."
    )


def test_a_run_of_usual_shape_has_no_notes(config):
    assert notes_on(build_run(config), []) == []


def test_a_resumed_run_names_the_checkpoint_it_continues(finished, config, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "result.json").unlink()
    train_and_evaluate(config, workdir)
    out = capsys.readouterr().out
    assert f"start      resumes from checkpoint 6 of {workdir}\n" in out


@pytest.mark.slow
def test_fine_tuning_names_what_it_takes_and_what_is_new(finished, config, tmp_path, capsys):
    config.train.update(init_from=str(finished[0]), init_checkpoint="6", steps=1)
    train_and_evaluate(config, tmp_path / "run")
    out = capsys.readouterr().out
    assert (
        f"start      parameters of {finished[0]}, checkpoint 6: conv1, conv2, conv3, conv4, conv5, "
        "fc6, fc7, fc8\n"
    ) in out
    assert out.index("compiling the step") < out.index("step 1/1")


def test_an_output_layer_for_other_classes_is_new():
    run_state = TrainState(
        jnp.int32(6), {"fc7": {"bias": jnp.zeros(4)}, "fc8": {"bias": jnp.zeros(4)}}, None, None
    )
    fresh = {"fc7": {"bias": jnp.zeros(4)}, "fc8": {"bias": jnp.zeros(3)}}
    assert describe_pretrained(run_state, fresh, "runs/a") == (
        "parameters of runs/a, checkpoint 6: fc7; new: fc8"
    )


@pytest.mark.slow
def test_a_run_that_resumes_before_its_first_step_no_longer_needs_the_other_run(
    finished, config, tmp_path, monkeypatch, capsys
):
    other, workdir = tmp_path / "other", tmp_path / "run"
    shutil.copytree(finished[0], other)
    config.train.update(init_from=str(other), steps=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_and_evaluate(config, workdir)
    shutil.rmtree(other)
    train_and_evaluate(config, workdir)
    assert f"start      resumes from checkpoint 0 of {workdir}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "late"),
    [
        # 100 steps, of 10 an epoch.
        ({"name": "step_decay", "boundaries": (5, 9.9, 10)}, ["schedule.boundaries=10"]),
        ({"name": "constant", "boundaries": (5, 60)}, []),
        (
            {"name": "step_decay", "boundaries": (60,), "boundary_steps": (50, 200)},
            ["schedule.boundary_steps=200"],
        ),
        (
            {"name": "constant", "conv1_boundaries": (20,), "conv1_factors": (0.5,)},
            ["schedule.conv1_boundaries=20"],
        ),
        (
            {"name": "constant", "output_boundaries": (2, 30), "output_factors": (0.5, 0.1)},
            ["schedule.output_boundaries=30"],
        ),
    ],
)
def test_changes_of_rates_after_the_end_are_named(values, late):
    config = demo.get_config()
    config.train.update(batch_size=10, steps=100)
    config.schedule.update(values)
    assert late_changes(config.schedule, resolve_durations(config, examples=100)) == late
