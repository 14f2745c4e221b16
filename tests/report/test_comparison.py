"""Differences of a sweep's trials, with their intervals."""

import json

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.report.comparison import compare_sweep

BASELINE, OTHER = [0.20, 0.22, 0.21], [0.25, 0.24, 0.29]


def write_trial(root, name, group, overrides, position, error=None):
    folder = root / name
    folder.mkdir(parents=True)
    trial = {"position": position, "group": group, "overrides": overrides, "published": ""}
    (folder / "trial.json").write_text(json.dumps(trial))
    if error is not None:
        scores = {"top1_error": error, "top5_error": error / 2, "loss": 1.0, "count": 100}
        result = {"step": 1, "center": scores, "ten_crop": scores}
        (folder / "result.json").write_text(json.dumps(result))


@pytest.fixture
def sweep(tmp_path):
    for seed, (one, other) in enumerate(zip(BASELINE, OTHER, strict=True)):
        write_trial(tmp_path, f"b{seed}", "baseline", {}, 2 * seed, one)
        write_trial(tmp_path, f"o{seed}", "no_lrn", {"a": 1}, 2 * seed + 1, other)
    return tmp_path


def test_rows_are_compared_with_the_baseline(sweep):
    baseline, other = compare_sweep(sweep).rows
    assert baseline["difference"] == 0 and baseline["low"] is None
    assert other["difference"] == pytest.approx(sum(OTHER) / 3 - sum(BASELINE) / 3)
    assert other["low"] < other["difference"] < other["high"] and other["runs"] == 3


def test_a_sweep_that_has_only_begun_says_what_it_needs(tmp_path):
    write_trial(tmp_path, "b", "baseline", {}, 0)
    write_trial(tmp_path, "o", "no_lrn", {"a": 1}, 1, 0.3)
    comparison = compare_sweep(tmp_path)
    assert not comparison.rows and "1 of 2 have finished" in comparison.text


def test_a_folder_without_sweep_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no sweep"):
        compare_sweep(tmp_path)
