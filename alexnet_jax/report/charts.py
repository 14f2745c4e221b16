"""Charts with values on hover, as Vega-Lite specifications and as files for papers."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

from alexnet_jax.evaluation.metrics import metric_title
from alexnet_jax.prediction.by_class import ClassErrors
from alexnet_jax.report.saved_run import SavedRun
from alexnet_jax.system.atomic_write import atomic_write

# Okabe and Ito's colors, which people with color-blindness can tell apart.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"]
BLUE, ORANGE = PALETTE[:2]
_TRAINING, _VALIDATION = "training", "validation"
_MOST_POINTS = 1500  # Of a curve: more than a screen can show.
_HEIGHT = 260  # Pixels; as wide as the page allows.
_FILE_WIDTH = 560  # Pixels.

Chart = alt.TopLevelMixin


def _tip(name: str, format: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", format=format)


def _rows(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=list(rows)))


def learning_curves(runs: Sequence[SavedRun], name: str) -> Chart | None:
    """Chart "loss", "top1_error" or "top5_error" against epochs, for several runs.

    Dots are evaluations with the center crop; lines without dots are averages over training steps.
    Rules mark where the learning rate drops. None if no run has such lines.
    """
    rows = [row for run in runs for row in _curve_rows(run, name)]
    if not rows:
        return None
    kinds = [kind for kind in (_VALIDATION, _TRAINING) if any(row["split"] == kind for row in rows)]
    hues = [BLUE if kind == _VALIDATION else ORANGE for kind in kinds]
    dashes = [[1, 0] if kind == _VALIDATION else [4, 3] for kind in kinds]
    error = name.endswith("_error")
    scale = _falling_scale([row["value"] for row in rows])
    axis: dict[str, Any] = {"format": "%"} if error else {}
    if scale.type == "symlog":  # Vega would round its labels: 0 % for 0.1 %.
        label = f"format(datum.value, '{'~%' if error else '~g'}')"
        axis = {"values": _ticks([row["value"] for row in rows]), "labelExpr": label}
    base = _rows(rows).encode(
        x=alt.X("epoch:Q", title="epoch", scale=alt.Scale(nice=False, zero=True)),
        y=alt.Y(
            "value:Q",
            title=metric_title(name),
            axis=alt.Axis(**axis),
            scale=scale,
        ),
        color=alt.Color("run:N", title="run", scale=alt.Scale(range=PALETTE))
        if len(runs) > 1
        else alt.Color("split:N", title=None, scale=alt.Scale(domain=kinds, range=hues)),
        strokeDash=alt.StrokeDash(
            "split:N", title=None, scale=alt.Scale(domain=kinds, range=dashes)
        ),
        detail=["run:N", "split:N"],
        tooltip=[
            "run:N",
            "split:N",
            _tip("epoch", ".2f"),
            _tip("step", ","),
            alt.Tooltip("value:Q", title=metric_title(name), format=".2%" if error else ".4f"),
        ],
    )
    layers = [base.mark_line(strokeWidth=1.6), base.mark_circle(size=120, opacity=0)]
    evaluations = [row for row in rows if row["split"] == _VALIDATION]
    if evaluations:
        data = alt.Data(values=evaluations)
        layers.append(base.mark_circle(size=28, opacity=1).properties(data=data))
    drops = [row for run in runs for row in _rate_drops(run)]
    return alt.layer(*([_rules(drops)] if drops else []), *layers).properties(
        width="container", height=_HEIGHT
    )


def _falling_scale(values: Sequence[float]) -> alt.Scale:
    """Return a logarithmic scale for numbers that fall far, else a linear one."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) < 30 * min(positive):
        return alt.Scale(zero=True)
    if len(positive) < len(values):
        return alt.Scale(type="symlog", constant=min(positive))
    return alt.Scale(type="log")


def _ticks(values: Sequence[float]) -> list[float]:
    """Return 0 and 1, 2 and 5 of each decade: Vega has no ticks where a symlog scale is linear."""
    low, high = min(value for value in values if value > 0), max(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return [0, *(step for step in steps if low <= step <= high)]


def _rules(drops: Sequence[Mapping[str, Any]]) -> alt.Chart:
    marks = _rows(drops).mark_rule(strokeDash=[2, 3], opacity=0.6, color="currentColor")
    return marks.encode(
        x="epoch:Q", tooltip=["run:N", alt.Tooltip("rate:N", title="learning rate")]
    )


def _curve_rows(run: SavedRun, name: str) -> Iterable[dict[str, Any]]:
    per_epoch = run.steps_per_epoch
    if per_epoch is None:
        return
    for split, lines in ((_TRAINING, run.training), (_VALIDATION, run.evaluations("center"))):
        known = [line for line in lines if isinstance(line.get(name), int | float)]
        for line in known[:: 1 + len(known) // _MOST_POINTS]:
            epoch = round(line["step"] / per_epoch, 3)
            value = round(float(line[name]), 5)
            place = {"step": line["step"], "epoch": epoch}
            yield {"run": run.name, "split": split, **place, "value": value}


def _rate_drops(run: SavedRun) -> Iterable[dict[str, Any]]:
    """Yield where the rate falls by a third or more from one line to the next."""
    lines, per_epoch = run.training, run.steps_per_epoch
    for before, after in pairwise(lines):
        rate = after.get("learning_rate")
        if per_epoch and rate and rate < 0.67 * before["learning_rate"]:
            epoch = round(before["step"] / per_epoch, 3)
            yield {"run": run.name, "epoch": epoch, "rate": f"{rate:.3g}"}


def class_errors(names: Sequence[str], classes: Sequence[ClassErrors]) -> Chart:
    """Chart the error of each class as a bar, in the order given, at most 40 of them."""
    rows = [
        {
            "class": names[each.label],
            "error": each.top1_error,
            "wrong": each.errors,
            "images": each.count,
        }
        for each in classes[:40]
    ]
    bars = _rows(rows).mark_bar(color=BLUE)
    return bars.encode(
        x=alt.X("error:Q", title="top-1 error", axis=alt.Axis(format="%")),
        y=alt.Y("class:N", title=None, sort=None),
        tooltip=["class:N", _tip("error", ".1%"), "wrong:Q", "images:Q"],
    ).properties(width="container", height=16 * len(rows))


def calibration(confidence: np.ndarray, right: np.ndarray) -> Chart:
    """Chart the share of right answers against the confidence in them, in ten bins."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    rows = [
        {
            "confidence": float(confidence[bins == number].mean()),
            "right": float(right[bins == number].mean()),
            "images": int(np.sum(bins == number)),
        }
        for number in range(10)
        if np.any(bins == number)
    ]
    axes: dict[str, Any] = {"axis": alt.Axis(format="%"), "scale": alt.Scale(domain=[0, 1])}
    diagonal = (
        _rows([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(strokeDash=[4, 4], color="currentColor", opacity=0.5)
        .encode(x="x:Q", y="y:Q")
    )
    circles = _rows(rows).mark_circle(color=BLUE, opacity=0.85)
    dots = circles.encode(
        size=alt.Size("images:Q", legend=None, scale=alt.Scale(range=[30, 600])),
        x=alt.X("confidence:Q", title="probability of the first answer", **axes),
        y=alt.Y("right:Q", title="share of right answers", **axes),
        tooltip=[_tip("confidence", ".1%"), _tip("right", ".1%"), "images:Q"],
    )
    return (diagonal + dots).properties(width="container", height=300)


def differences(rows: Sequence[Mapping[str, Any]]) -> Chart:
    """Chart differences with their 95 % intervals: {"name", "difference", "low", "high", "runs"}.

    Differences are of the top-1 error, as fractions, shown in percentage points; a negative one is
    better.
    """
    ends = ("difference", "low", "high")
    rows = [{**row, **{end: row[end] and 100 * row[end] for end in ends}} for row in rows]
    base = _rows(rows).encode(y=alt.Y("name:N", title=None, sort=[row["name"] for row in rows]))
    gaps = [_tip(end, "+.2f") for end in ends]
    tooltip = ["name:N", *gaps, "runs:Q"]
    title = "difference of the top-1 error in percentage points, with its 95 % interval"
    low = alt.X("low:Q", title=title, axis=alt.Axis(format="+.1f"))
    bars = base.mark_rule(strokeWidth=2, color=BLUE).encode(x=low, x2="high:Q", tooltip=tooltip)
    circles = base.mark_circle(size=70, opacity=1, color=BLUE)
    dots = circles.encode(x="difference:Q", tooltip=tooltip)
    zero = _rows([{"x": 0}]).mark_rule(color="currentColor", opacity=0.6).encode(x="x:Q")
    return (zero + bars + dots).properties(width="container", height=24 * len(rows))


def themed(chart: Chart) -> dict[str, Any]:
    """Return a chart's specification, its text and lines in the color of the page's text."""
    ink = "currentColor"
    axis = {
        "labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink,
        "gridColor": ink, "gridOpacity": 0.12, "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal",
    }  # fmt: skip
    legend = {
        "labelColor": ink, "titleColor": ink, "labelFontSize": 12, "orient": "top",
        "symbolType": "stroke", "symbolSize": 300, "symbolStrokeWidth": 2,
    }  # fmt: skip
    config = {
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "legend": legend,
        "font": "system-ui, sans-serif",
    }
    fit = {"type": "fit-x", "contains": "padding"}
    return {**chart.to_dict(), "config": config, "autosize": fit}


def write_charts(specs: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write each specification of `themed` as NAME.svg and NAME.png, black on white."""
    for name, spec in specs.items():
        black = json.loads(json.dumps(spec).replace("currentColor", "#000000"))
        fixed = black | {"width": _FILE_WIDTH, "autosize": "pad", "background": "white"}
        atomic_write(folder / f"{name}.svg", vl_convert.vegalite_to_svg(fixed))
        (folder / f"{name}.png").write_bytes(vl_convert.vegalite_to_png(fixed, scale=2))
