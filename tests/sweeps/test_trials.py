import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.trials import Trial, grid, name_trial, repeat


def test_a_grid_has_every_combination():
    assert grid({"train.batch_size": [64, 128], "train.seed": [0, 1]}) == [
        {"train.batch_size": 64, "train.seed": 0},
        {"train.batch_size": 64, "train.seed": 1},
        {"train.batch_size": 128, "train.seed": 0},
        {"train.batch_size": 128, "train.seed": 1},
    ]


@pytest.mark.parametrize(
    ("trial", "name"),
    [
        (Trial(), "baseline"),
        (Trial({"schedule.learning_rate": 0.02}), "schedule.learning_rate=0.02"),
        (
            Trial({"train.seed": 1, "model.modifications": ("no_lrn", "tanh")}),
            "model.modifications=no_lrn+tanh,train.seed=1",
        ),
        (Trial({"model.modifications": ()}), "model.modifications=none"),
        (Trial({"data.name": "fractals/demo"}), "data.name=fractals-demo"),
        (Trial({"train.seed": 1}, name="my trial"), "my-trial"),
    ],
)
def test_a_trial_is_named_by_its_overrides(trial, name):
    assert name_trial(trial).name == name


def test_the_order_of_overrides_changes_no_name():
    one = name_trial(Trial({"train.seed": 1, "train.batch_size": 8}))
    other = name_trial(Trial({"train.batch_size": 8, "train.seed": 1}))
    assert one.name == other.name


def test_long_names_are_cut_and_stay_apart():
    rates = [tuple(range(100)), (*range(99), 7)]
    names = [name_trial(Trial({"schedule.boundaries": rate})).name for rate in rates]
    assert names[0] != names[1]
    assert max(map(len, names)) < 160


def test_more_seeds_leave_the_first_repetition_its_name():
    trials = repeat([name_trial(Trial()), name_trial(Trial(name="tanh"))], first_seed=5, seeds=2)
    assert [(trial.name, dict(trial.overrides), trial.group) for trial in trials] == [
        ("baseline", {}, "baseline"),
        ("tanh", {}, "tanh"),
        ("baseline,train.seed=6", {"train.seed": 6}, "baseline"),
        ("tanh,train.seed=6", {"train.seed": 6}, "tanh"),
    ]


def test_a_trial_with_a_seed_of_its_own_is_not_repeated():
    with pytest.raises(UserError, match="sets train.seed itself"):
        repeat([name_trial(Trial({"train.seed": 3}))], first_seed=0, seeds=2)
