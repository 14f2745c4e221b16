from pathlib import Path

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.trials import Trial, grid, load_sweep, name_trial, repeat
from configs.sweeps import ablations


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


def load(tmp_path, body, samples=None):
    file = tmp_path / "sweep.py"
    file.write_text(body)
    return load_sweep(file, samples)


def test_the_ablations_are_a_sweep_with_published_differences():
    trials = load_sweep(Path(ablations.__file__), None)
    assert [trial.name for trial in trials[:2]] == ["baseline", "no_normalisation"]
    assert trials[3].published == "+0.4 top-1, +0.3 top-5 with windows that do not overlap"


def test_a_list_of_overrides_is_a_sweep(tmp_path):
    trials = load(tmp_path, "def get_sweep():\n    return [{}, {'train.seed': 1}]")
    assert [trial.name for trial in trials] == ["baseline", "train.seed=1"]


def test_a_search_space_of_grids_is_enumerated_without_ray(tmp_path):
    space = "{'train.seed': {'grid_search': [1, 2]}, 'train.batch_size': 8}"
    trials = load(tmp_path, f"def get_sweep():\n    return {space}")
    assert [dict(trial.overrides) for trial in trials] == [
        {"train.batch_size": 8, "train.seed": 1},
        {"train.batch_size": 8, "train.seed": 2},
    ]


DRAWN = """
from ray import tune

def get_sweep():
    return {"schedule.learning_rate": tune.loguniform(1e-3, 1e-1), "train.batch_size": 8}
"""


def test_more_draws_keep_the_first(tmp_path):
    pytest.importorskip("ray.tune", reason="Ray is not installed: requirements-sweep.txt")
    two, three = load(tmp_path, DRAWN, samples=2), load(tmp_path, DRAWN, samples=3)
    assert three[:2] == two
    assert len({trial.name for trial in three}) == 3
    assert all(1e-3 <= trial.overrides["schedule.learning_rate"] <= 1e-1 for trial in three)


def test_a_space_to_draw_from_asks_how_often(tmp_path):
    pytest.importorskip("ray.tune", reason="Ray is not installed: requirements-sweep.txt")
    with pytest.raises(UserError, match=r"draws schedule.learning_rate; give .* --samples=N"):
        load(tmp_path, DRAWN)


@pytest.mark.parametrize(
    ("body", "samples", "message"),
    [
        ("1 / 0", None, r"cannot be loaded: ZeroDivisionError: division by zero \(.*line 1\)"),
        ("def get_sweep(:", None, "cannot be loaded: SyntaxError"),
        ("", None, r"has no get_sweep\(\)"),
        ("def get_sweep():\n    return 7", None, "returned int; it should return a list"),
        ("def get_sweep():\n    return []", None, "lists no trials"),
        ("def get_sweep():\n    return ['tanh']", None, "'tanh' is not a dict such as"),
        ("def get_sweep():\n    return [{}]", 3, "lists its trials; it is not a search space"),
        (
            "def get_sweep():\n    return {'train.seed': {'grid_search': [1]}}",
            3,
            "has nothing to draw",
        ),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(tmp_path, body, samples, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, body, samples)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.py: there is no such file"):
        load_sweep(tmp_path / "nowhere.py", None)
