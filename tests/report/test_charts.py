"""Charts hold the numbers of the log."""

from pathlib import Path

import numpy as np
import pytest

from alexnet_jax.prediction.by_class import errors_by_class
from alexnet_jax.report import charts
from alexnet_jax.report.saved_run import SavedRun, read_run


@pytest.fixture
def run(finished):
    return read_run(finished[0])


def values(chart):
    """All rows of all layers of a chart."""
    spec = charts.themed(chart)
    layers = spec.get("layer", [spec])
    return [row for layer in layers for row in layer.get("data", spec.get("data", {}))["values"]]


def test_a_curve_has_every_line_of_the_log(run):
    rows = values(charts.learning_curves([run], "loss"))
    training = {row["step"] for row in rows if row.get("split") == "training"}
    validation = {row["step"] for row in rows if row.get("split") == "validation"}
    assert training == {2, 4, 6} and validation == {4, 6}


def test_there_is_no_curve_without_training(run):
    empty = SavedRun(run.workdir, run.config, [], None, {})
    assert charts.learning_curves([empty], "loss") is None


def test_rate_drops_are_marked(run):
    lines = [{**line, "learning_rate": 0.01 / line["step"] ** 2} for line in run.training]
    slower = SavedRun(run.workdir, run.config, lines, None, {})
    drops = [row for row in values(charts.learning_curves([slower], "loss")) if "rate" in row]
    assert [row["rate"] for row in drops] == ["0.000625", "0.000278"]


def test_a_long_log_is_thinned_out():
    lines = [
        {"kind": "train", "step": step, "epoch": step / 100, "loss": 1.0, "learning_rate": 0.1}
        for step in range(1, 10_000)
    ]
    run = SavedRun(Path("run"), {}, lines, None, {})
    rows = list(charts._curve_rows(run, "loss"))
    assert 1000 < len(rows) <= 1500


def test_each_class_has_its_error():
    labels, answers = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 0, 0, 0, 1])
    rows = values(charts.class_errors(["a", "b", "c"], errors_by_class(labels, answers)))
    assert [(row["class"], row["error"]) for row in rows] == [("b", 0.75), ("a", 0.25)]


def test_calibration_counts_right_answers_in_each_bin():
    chart = charts.calibration(np.array([0.95, 0.99, 1.0, 0.15]), np.array([1, 1, 0, 0], bool))
    rows = {row["images"]: row["right"] for row in values(chart) if "images" in row}
    assert rows == {1: 0, 3: pytest.approx(2 / 3)}


def curve(run, name, errors, kinds=("train", "eval")):
    """The specification of a curve of a log with these errors, by kind of line."""
    lines = [
        {"kind": kind, "step": step, "epoch": step, "learning_rate": 0.1, name: error}
        | {"top1_error": error, "loss": 1.0, "top5_error": error, "views": "center", "count": 1}
        for kind in kinds
        for step, error in enumerate(errors, start=1)
    ]
    record = SavedRun(run.workdir, run.config, lines, None, {})
    return charts.themed(charts.learning_curves([record], name))["layer"][0]["encoding"]


def test_an_axis_that_falls_to_zero_has_ticks_in_each_decade(run):
    encoding = curve(run, "top5_error", [0.16, 0.008, 0.001, 0.0])
    ticks = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
    assert encoding["y"]["axis"] == {"values": ticks, "labelExpr": "format(datum.value, '~%')"}


def test_such_an_axis_is_labelled_to_a_tenth_of_a_per_cent(run, tmp_path):
    lines = [
        {"kind": "train", "step": step, "epoch": step, "learning_rate": 0.1, "top5_error": error}
        for step, error in enumerate([0.16, 0.001, 0.0], start=1)
    ]
    chart = charts.learning_curves([SavedRun(run.workdir, {}, lines, None, {})], "top5_error")
    charts.write_charts({"curve": charts.themed(chart)}, tmp_path)
    assert ">0.1%</text>" in (tmp_path / "curve.svg").read_text()


def test_training_has_its_color_without_evaluations_too(run):
    both, alone = curve(run, "loss", [2.0, 1.0]), curve(run, "loss", [2.0, 1.0], ["train"])
    colors, dashes = (
        [dict(zip(each[channel]["scale"]["domain"], each[channel]["scale"]["range"], strict=True))
         for each in (both, alone)]
        for channel in ("color", "strokeDash")
    )  # fmt: skip
    assert colors[0]["training"] == colors[1]["training"] != colors[0]["validation"]
    assert dashes[0]["training"] == dashes[1]["training"]
