import json

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.planning import plan
from alexnet_jax.sweeps.trials import Trial, name_trial


@pytest.fixture
def make(config, tmp_path):
    """Plan trials with these overrides in `tmp_path/sweep`."""

    def make(*trials, seeds=1):
        named = [name_trial(trial) for trial in trials]
        overrides = {"train.steps": 6, "train.batch_size": 32}
        return plan(config, "configs/demo.py", overrides, named, seeds, tmp_path / "sweep")

    return make


def test_a_trial_is_the_command_that_trains_it(make, tmp_path):
    (trial,) = make(Trial({"train.batch_size": 16, "model.modifications": ("tanh",)}, name="t"))
    assert trial.arguments == (
        "--config=configs/demo.py",
        "--config.train.steps=6",
        "--config.train.batch_size=16",
        "--config.model.modifications=('tanh',)",
        f"--workdir={tmp_path}/sweep/t",
    )
    assert trial.steps == 6


def test_the_steps_of_a_trial_come_from_its_data(make, config):
    config.train.steps = None
    config.train.epochs = 2.0
    (trial,) = make(Trial({"train.batch_size": 50}))
    assert trial.steps == 8  # 200 images, twice.


def test_a_trial_without_results_has_none(make):
    (trial,) = make(Trial())
    assert trial.result() is None
    (trial.workdir / "result.json").write_text(json.dumps({"step": 6}))
    assert trial.result() == {"step": 6}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"train.batchsize": 8}, "trial t: config.train.batchsize is unknown; did you mean"),
        ({"train.batch_size": 0}, "trial t: config.train.batch_size=0 must be above 0"),
        ({"train.batch_size": "ten"}, "trial t: .*batch_size"),
        ({"train.batch_size": 8.5}, "trial t: .*batch_size"),
        ({"model.name": "vgg"}, "trial t: .*vgg"),
        ({"model.modifications": ("no_lrm",)}, "trial t: .*no_lrm"),
        ({"model.num_classes": 7}, "trial t: .* has 10 classes"),
        ({"train.steps": None}, "config.train.steps cannot be unset by a trial"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(make, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        make(Trial(), Trial(overrides, name="t"))
    assert not (tmp_path / "sweep").exists()


def test_the_same_run_twice_is_refused(make):
    with pytest.raises(UserError, match="trials baseline and same are the same run"):
        make(Trial(), Trial({"train.batch_size": 32}, name="same"))


def test_two_trials_of_one_name_are_refused(make):
    with pytest.raises(UserError, match="two trials are called t;"):
        make(Trial({"train.seed": 1}, name="t"), Trial({"train.seed": 2}, name="t"))


def test_a_folder_with_a_sweep_of_another_config_is_refused(make, config):
    make(Trial())
    config.optimizer.momentum = 0.5
    with pytest.raises(UserError, match=r"holds a sweep of another config \(optimizer.momentum"):
        make(Trial())


def test_a_name_that_belongs_to_another_run_is_refused(make, config, tmp_path):
    from alexnet_jax.runs.saved_config import save_config

    (trial,) = make(Trial({"train.seed": 1}, name="t"))
    config.train.seed = 1
    save_config(config, trial.workdir)
    config.train.seed = 0
    with pytest.raises(UserError, match=r"that trial of another config \(train.seed: 1 -> 2\)"):
        make(Trial({"train.seed": 2}, name="t"))


def test_the_folder_of_a_run_is_no_folder_for_a_sweep(make, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "metrics.jsonl").touch()
    with pytest.raises(UserError, match="is the folder of a single run"):
        make(Trial())
