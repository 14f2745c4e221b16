"""The page: the data for the template, and the HTML that it makes."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

import alexnet_jax
from alexnet_jax.report import charts
from alexnet_jax.report.comparison import Comparison
from alexnet_jax.report.matplotlib_style import Drawing
from alexnet_jax.report.pictures import Pictures
from alexnet_jax.report.results import published_rows, result_rows
from alexnet_jax.report.saved_run import SavedRun
from alexnet_jax.system.progress import clock

_CURVES = {
    "loss": "The loss against epochs",
    "top1_error": "The top-1 error against epochs",
    "top5_error": "The top-5 error against epochs",
}
_PARTS = {
    "result": "Result",
    "curves": "Curves",
    "comparison": "Comparison",
    "network": "The network",
    "kernels": "Kernels",
    "predictions": "Predictions",
    "mistakes": "Mistakes",
    "inside": "Inside",
}


@dataclass
class Report:
    """What a report is made of."""

    runs: Sequence[SavedRun]
    comparison: Comparison | None = None
    drawings: dict[str, Drawing] = field(default_factory=dict)
    no_network: str = ""  # Why the network could not be drawn.
    pictures: Pictures | None = None
    no_pictures: str = ""  # Why there are none, and what to do.


def render(report: Report) -> str:
    """Return the page as HTML; text from configs and data sets is escaped."""
    specs = chart_specs(report)
    first = report.runs[0]
    data = str(first.config["data.name"])
    results = [row for run in report.runs for row in result_rows(run)]
    room = resources.files("alexnet_jax.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((room / "page.html.jinja").read_text())
    return template.render(
        title=f"{first.config['model.name']} on {data}",
        subtitle=_subtitle(report.runs),
        style=Markup((room / "page.css").read_text()),
        contents=[part for part in _PARTS.items() if part[0] != "comparison" or report.comparison],
        results=results + published_rows(data),
        runs=[_describe(run) for run in report.runs],
        curves=[
            (f"curve-{name}", alt) for name, alt in _CURVES.items() if f"curve-{name}" in specs
        ],
        comparison=report.comparison,
        drawings=report.drawings,
        no_network=report.no_network,
        pictures=report.pictures and report.pictures.shown,
        no_pictures=report.no_pictures,
        charts=_script_json(specs),
        # Vega, Vega-Lite and Vega-Embed. None is the default; the stub forbids it.
        bundle=vl_convert.javascript_bundle(None) if specs else "",  # type: ignore[arg-type]
        version=alexnet_jax.__version__,
    )


def chart_specs(report: Report) -> dict[str, Any]:
    """Return the specifications of all charts by the id of their place."""
    made = {f"curve-{name}": charts.learning_curves(report.runs, name) for name in _CURVES}
    if report.comparison is not None and report.comparison.rows:
        made["comparison-chart"] = charts.differences(report.comparison.rows)
    if report.pictures is not None:
        made |= report.pictures.charts
    return {name: charts.themed(chart) for name, chart in made.items() if chart is not None}


def _subtitle(runs: Sequence[SavedRun]) -> str:
    run = runs[0]
    scores = run.scores("ten_crop") or run.scores("center")
    if scores is None:
        return "Not evaluated yet."
    views = "ten crops" if run.scores("ten_crop") else "the center crop"
    state = "" if run.result else " so far"
    others = f" (of {len(runs)} runs, the first)" if len(runs) > 1 else ""
    return (
        f"{scores['top1_error']:.2%} top-1 error and {scores['top5_error']:.2%} top-5 error{state} "
        f"with {views}, on {scores['count']:,} validation images{others}."
    ).replace("%", " %")


def _describe(run: SavedRun) -> dict[str, Any]:
    return {
        "heading": f"What ran: {run.workdir}",
        "facts": _facts(run),
        "command": shlex.join(run.command),
        "command_does": "repeats it, after removing or renaming the folder"
        if run.result
        else "resumes it",
        "changed": [(key, repr(old), repr(new)) for key, old, new in run.changed()],
    }


def _facts(run: SavedRun) -> list[tuple[str, str]]:
    environment, result = run.environment, run.result or {}
    devices = [name.split(": ")[-1] for name in environment.get("devices") or []]
    versions = environment.get("versions") or {}
    starts = environment.get("starts") or [{}]
    waits = [line["data_wait_fraction"] for line in run.training if "data_wait_fraction" in line]
    seconds, rate = result.get("seconds"), result.get("images_per_second")
    progress = f"{run.lines[-1]['step']:,}, not finished" if run.lines else None
    facts = {
        "Network": run.config["model.name"],
        "Data set": run.config["data.name"],
        "Batch": f"{run.config['train.batch_size']:,} images",
        "Precision": run.config["model.dtype"],
        "Steps": f"{result['step']:,}" if result else progress,
        "Time": seconds and f"{clock(seconds)} {'h' if round(seconds) >= 3600 else 'min'}",
        "Images per second": None if rate is None else f"{rate:,.0f}",
        "Waiting for data": f"{sum(waits) / len(waits):.1%}".replace("%", " %") if waits else None,
        "Devices": ", ".join(f"{devices.count(kind)} × {kind}" for kind in dict.fromkeys(devices)),
        "Cores": environment.get("cores"),
        "JAX": versions.get("jax"),
        "Python": environment.get("python"),
        "Commit": (environment.get("git_commit") or "")[:12],
        "Started": str(starts[0].get("time", ""))[:16].replace("T", " "),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _script_json(values: Any) -> str:
    """Return JSON that may stand inside <script>, whatever the class names are."""
    text = json.dumps(values, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
