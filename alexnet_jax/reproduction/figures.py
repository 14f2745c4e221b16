"""The figures of the page: curves with bands over seeds, and differences with their intervals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet_jax.report.matplotlib_style import INK, Drawing, figure_style
from alexnet_jax.reproduction.claims import Experiment, Setting
from alexnet_jax.reproduction.findings import Finding
from alexnet_jax.reproduction.logs import Log
from alexnet_jax.reproduction.measures import (
    MEASURES,
    Curve,
    Measure,
    epochs_to,
    is_pilot,
    steps_to_leave,
)

# Okabe and Ito's colors, told apart by the color-blind, and a second sign for each arm.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_LINES = ("-", "--", "-.", ":")
_VERDICT_COLORS = {"agrees": _COLORS[0], "the opposite": _COLORS[1], "differs": _COLORS[1]}


def draw_curves(log: Log, experiment: Experiment, setting: Setting, measure: Measure) -> Drawing:
    """Draw each arm's error against epochs, as `measure` has it: median and band of all seeds."""
    assert setting.target is not None and measure.curve is not None
    title = measure.title.removeprefix("epochs to the ")
    with figure_style():
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for arm, color, line in zip(experiment.arms, _COLORS, _LINES, strict=False):
            runs = [run for run in log.of_arm(arm) if not is_pilot(run)]
            if not runs:
                continue
            curves = [measure.curve(run) for run in runs]
            epochs, errors = _errors(curves)
            axes.fill_between(
                epochs, errors.min(axis=0), errors.max(axis=0), color=color, alpha=0.2
            )
            rate = f", rate {runs[0].rate:g}" if runs[0].rate else ""
            label = f"{arm.replace('_', ' ')}{rate}, {len(runs)} seeds"
            axes.plot(epochs, np.median(errors, axis=0), line, color=color, label=label)
            reached = float(np.median([epochs_to(curve, setting.target) for curve in curves]))
            axes.plot([reached], [100 * setting.target], "o", color=color)
        axes.axhline(100 * setting.target, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epochs")
        axes.set_ylabel(f"{title}, %")
        axes.set_ylim(0, None)
        axes.legend(frameon=False)
    alt = (
        f"{title.capitalize()} against epochs on {log.data}: median and range over seeds of "
        f"{' and '.join(experiment.arms)}."
    )
    return Drawing(figure, alt)


def _errors(points: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs [T] and errors in percent [runs, T]."""
    curves = [np.array(each) for each in points]
    length = min(map(len, curves))
    return curves[0][:length, 0], np.stack([100 * curve[:length, 2] for curve in curves])


def draw_starts(log: Log, experiment: Experiment) -> Drawing:
    """Draw the training loss of every run against steps, one panel an arm, and that of a guess."""
    guess, steps = math.log(log.config["model.num_classes"]), log.config["log.every_steps"]
    arms = [arm for arm in experiment.arms if log.of_arm(arm)]
    columns = min(3, len(arms))
    rows = -(-len(arms) // columns)
    with figure_style():
        figure = Figure(figsize=(2.2 * columns, 1.8 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(arms) :]:
            axes.set_axis_off()
        for arm, axes in zip(arms, panels.flat, strict=False):
            axes.axhline(guess, color=INK, linewidth=0.8, linestyle=":")
            for run in log.of_arm(arm):
                losses = [loss for _, loss, _ in run.train]
                ends = [steps * (number + 1) for number in range(len(losses))]
                left = steps_to_leave(run, log.config) is not None
                axes.plot(ends, losses, color=_COLORS[0 if left else 1], linewidth=0.8, alpha=0.7)
            axes.set_title(arm.replace("_", " "))
            axes.set_ylim(0, 1.5 * guess)
        figure.supxlabel("steps")
        figure.supylabel("training loss")
    alt = (
        f"Training loss against steps on {log.data}, one panel a start and one line a seed: blue "
        "where it leaves the dotted loss of a guess, orange where it stays."
    )
    return Drawing(figure, alt)


def draw_differences(findings: Sequence[Finding], published: Mapping[str, float]) -> Drawing:
    """Draw each difference with its 95 % interval, and the published one where there is one.

    Args:
        findings: Findings of one data set.
        published: Published difference in percentage points of top-1 error, by claim.
    """
    rows = [each for each in findings if MEASURES[each.claim.measure].curve is None]
    with figure_style():
        figure = Figure(figsize=(6.4, 0.9 + 0.28 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, finding in enumerate(rows):
            estimate = finding.estimate
            color = _VERDICT_COLORS.get(finding.verdict, "#777777")
            low = estimate.value if estimate.low is None else estimate.low
            high = estimate.value if estimate.high is None else estimate.high
            axes.plot([low, high], [row, row], color=color, linewidth=2)
            axes.plot([estimate.value], [row], "o", color=color, markersize=5)
            if finding.claim.name in published:
                axes.plot([published[finding.claim.name]], [row], "D", color=INK, fillstyle="none")
        names = [
            f"{claim.name}: {claim.arm if claim.networks == 1 else f'{claim.networks} networks'}"
            for claim in (each.claim for each in rows)
        ]
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.set_xscale("symlog", linthresh=10)  # One arm may not learn at all.
        axes.set_xlabel("difference of top-1 error, points (log scale beyond 10)")
        ticks = (-50, -20, -10, -5, 0, 5, 10, 20, 50)
        axes.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
        axes.minorticks_off()
        axes.margins(x=0.08)
    data = findings[0].data if findings else ""
    alt = (
        f"Differences of top-1 error on {data}, one row a claim, with 95 % intervals. Blue agrees "
        "with the paper, orange does not, gray is not told apart."
    )
    return Drawing(figure, alt)
