import csv
import json
import math

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.table import format_csv, format_markdown, read_rows


def write(root, name, group, seed, errors, *, overrides=None, published="", position=0):
    """Write a trial's folder; `errors` are center top-1, top-5, ten crops top-1, top-5."""
    workdir = root / name
    workdir.mkdir()
    trial = {
        "position": position,
        "group": group,
        "overrides": overrides or {},
        "seed": seed,
        "published": published,
    }
    (workdir / "trial.json").write_text(json.dumps(trial))
    if errors is not None:
        names = ("top1_error", "top5_error")
        result = {
            "center": dict(zip(names, errors[:2], strict=True)),
            "ten_crop": dict(zip(names, errors[2:], strict=True)),
            "seconds": 60.0 + 30 * seed,
        }
        (workdir / "result.json").write_text(json.dumps(result))


@pytest.fixture
def root(tmp_path):
    """A baseline with seeds 0 to 2, one ablation with one seed, one trial without a result."""
    for seed, error in enumerate((0.40, 0.42, 0.44)):
        write(tmp_path, f"b{seed}", "baseline", seed, (error, 0.2, error - 0.02, 0.18))
    tanh = {"model.modifications": ["tanh"]}
    write(
        tmp_path,
        "tanh",
        "tanh",
        0,
        (0.5, 0.3, 0.47, 0.27),
        overrides=tanh,
        published="+1 | x",
        position=1,
    )
    write(tmp_path, "slow", "slow", 0, None, overrides={"train.epochs": 9}, position=2)
    line = {"kind": "eval", "step": 40, "views": "center", "top1_error": 0.6, "count": 8}
    (tmp_path / "slow" / "metrics.jsonl").write_text(json.dumps(line) + '\n{"kind": "tr')
    return tmp_path


def test_the_table_by_hand(root):
    # Mean of 40, 42, 44: 42; deviation with n - 1: 2. The ten crops: 38, 40, 42.
    assert format_markdown(*read_rows(root)).split("\n") == [
        "| trial           |   n | center top-1 % |      top-5 % "
        "| ten crops top-1 % |      top-5 % | time | ten crops, less baseline's | published |",
        "| --------------- | --: | -------------: | -----------: "
        "| ----------------: | -----------: | ---: | -------------------------: | --------- |",
        "| baseline (best) |   3 |   42.00 ± 2.00 | 20.00 ± 0.00 "
        "|      40.00 ± 2.00 | 18.00 ± 0.00 | 1:30 |                            |           |",
        "| tanh            |   1 |          50.00 |        30.00 "
        "|             47.00 |        27.00 | 1:00 |              +7.00 / +9.00 | +1 \\| x   |",
        "| slow            |   0 |                |              "
        "|                   |              |      |                            |           |",
        "",
        "no result: slow, not finished after step 40 with a center crop top-1 error of 60.00%",
    ]


def test_the_lowest_error_on_ten_crops_comes_first(root):
    write(root, "good", "good", 0, (0.6, 0.3, 0.1, 0.1), overrides={"train.epochs": 5}, position=3)
    names = [line.split()[1] for line in format_markdown(*read_rows(root)).split("\n")[2:6]]
    assert names == ["good", "baseline", "tanh", "slow"]


def test_a_single_result_is_not_the_best(tmp_path):
    write(tmp_path, "only", "only", 0, (0.5, 0.3, 0.4, 0.2))
    assert "best" not in format_markdown(*read_rows(tmp_path))


def test_the_csv_has_fractions_and_leaves_out_what_there_is_not(root):
    rows = list(csv.DictReader(format_csv(read_rows(root)[0]).split("\n")))
    assert [row["n"] for row in rows] == ["3", "1", "0"]
    assert math.isclose(float(rows[0]["ten_crop_top1_error_mean"]), 0.40)
    assert math.isclose(float(rows[0]["center_top1_error_sd"]), 0.02)
    assert [row["seconds_mean"] for row in rows] == ["90.0", "60.0", ""]
    assert (rows[1]["center_top1_error_sd"], rows[2]["center_top1_error_mean"]) == ("", "")


def test_a_trial_that_was_stopped_early_is_said_to_be(root):
    (root / "slow" / "stopped_early.json").write_text("{}")
    assert "slow, stopped early after step 40" in format_markdown(*read_rows(root))


def test_a_folder_without_a_sweep_says_how_to_start_one(tmp_path):
    with pytest.raises(UserError, match="holds no sweep; start one with --config"):
        read_rows(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"center": {"top1_error": null}}', '{"center": 1}'])
def test_a_result_without_its_errors_is_none(root, text):
    (root / "tanh" / "result.json").write_text(text)
    rows, unfinished = read_rows(root)
    assert [len(row.scores) for row in rows] == [3, 0, 0]
    assert unfinished[0] == "tanh"
