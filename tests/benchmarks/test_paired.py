import json

import pytest
from short_run import REPOSITORY

from benchmarks.paired import compare, read_errors

SWITCHES = REPOSITORY / "benchmarks" / "results" / "paper" / "small_data" / "switches.json"


def test_the_interval_is_that_of_the_differences_by_seed():
    """Differences 0.01, 0.02, 0.03: their deviation is 0.01, and t of two degrees is 4.3027."""
    row = compare({0: 0.11, 1: 0.22, 2: 0.33}, {0: 0.10, 1: 0.20, 2: 0.30, 3: 0.9})
    half = 4.302653 * 0.01 / 3**0.5
    assert row["interval"] == pytest.approx([0.02 - half, 0.02 + half], rel=1e-5)
    assert (row["seeds"], row["mean"]) == (3, pytest.approx(0.22))


def test_errors_come_by_trial_and_seed_without_unfinished_runs(tmp_path):
    trials = [("a", 0, {}, 0.1), ("b", 0, {"x": 1}, 0.2), ("a", 1, {}, 0.3), ("b", 1, {"x": 1}, 0)]
    for position, (group, seed, overrides, error) in enumerate(trials):
        workdir = tmp_path / f"{group}{seed}"
        workdir.mkdir()
        trial = {"position": position, "group": group, "seed": seed, "overrides": overrides}
        (workdir / "trial.json").write_text(json.dumps(trial))
        if error:
            (workdir / "result.json").write_text(json.dumps({"center": {"top1_error": error}}))
    assert read_errors(tmp_path) == ("a", {"a": {0: 0.1, 1: 0.3}, "b": {0: 0.2}})


def test_the_table_of_the_recipes_is_that_of_the_file():
    trials = json.loads(SWITCHES.read_text())["trials"]
    text = (REPOSITORY / "docs" / "recipes.md").read_text().replace("−", "-")
    for name, row in trials.items():
        error = f"{100 * row['mean']:.2f} ± {100 * row['standard_deviation']:.2f} %"
        difference = f"{100 * row['difference']:+.2f}".replace("-0.00", "0.00")
        low, high = (f"{100 * end:+.2f}" for end in row["interval"])
        gain = "–" if name == "recipe" else f"{difference} ({low} to {high})"
        assert f"| {error} | {gain} |" in text, name
