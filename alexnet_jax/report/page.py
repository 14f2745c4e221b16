"""The page: what the template is given, and the file that is written."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

import alexnet_jax
from alexnet_jax.evaluation.views import VIEW_TITLES
from alexnet_jax.report import charts
from alexnet_jax.report.comparison import Comparison
from alexnet_jax.report.matplotlib_style import Drawing
from alexnet_jax.report.pictures import Pictures
from alexnet_jax.report.published import PUBLISHED
from alexnet_jax.report.run_record import RunRecord
from alexnet_jax.runs.intervals import wilson_interval
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.progress import clock

_CURVES = {
    "loss": "The loss against epochs",
    "top1_error": "The top-1 error against epochs",
    "top5_error": "The top-5 error against epochs",
}


@dataclass(frozen=True)
class Report:
    """What a report is made of."""

    runs: Sequence[RunRecord]
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    no_network: str = ""  # Why the network could not be drawn.
    pictures: Pictures | None = None
    no_pictures: str = ""  # Why there are none, and what to do.
    comparison: Comparison | None = None


def write_page(report: Report, path: Path) -> None:
    """Write the page, one HTML file that needs no other."""
    atomic_write(path, render(report))


def render(report: Report) -> str:
    """Return the page as HTML; text from configs and data sets is escaped."""
    specs = chart_specs(report)
    first = report.runs[0]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    room = resources.files("alexnet_jax.report")
    template = environment.from_string((room / "page.html.jinja").read_text())
    return template.render(
        title=f"{first.config['model.name']} on {first.config['data.name']}",
        subtitle=_subtitle(report.runs),
        style=_unescaped((room / "page.css").read_text()),
        contents=_contents(report),
        results=[row for run in report.runs for row in _result_rows(run)] + _published_rows(first),
        runs=[_describe(run) for run in report.runs],
        curves=[(name, alt) for name, alt in _curve_names().items() if name in specs],
        comparison=report.comparison,
        drawings=report.drawings,
        no_network=report.no_network,
        pictures=report.pictures,
        no_pictures=report.no_pictures,
        charts=_script_json(specs),
        bundle=_vega() if specs else "",
        version=alexnet_jax.__version__,
    )


def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed, which define vegaEmbed, as one script."""
    # None is the default; the stub forbids it.
    return str(vl_convert.javascript_bundle(None))  # type: ignore[arg-type]


def _contents(report: Report) -> list[tuple[str, str]]:
    parts = {
        "result": "Result",
        "curves": "Curves",
        "comparison": "Comparison",
        "network": "The network",
        "kernels": "Kernels",
        "predictions": "Predictions",
        "mistakes": "Mistakes",
        "inside": "Inside",
    }
    return [item for item in parts.items() if item[0] != "comparison" or report.comparison]


def _curve_names() -> dict[str, str]:
    return {f"curve-{name}": alt for name, alt in _CURVES.items()}


def chart_specs(report: Report) -> dict[str, Any]:
    """Return the specifications of all charts by the id of their place."""
    made = {f"curve-{name}": charts.learning_curves(report.runs, name) for name in _CURVES}
    if report.comparison is not None and report.comparison.rows:
        made["comparison-chart"] = charts.differences(
            [asdict(row) for row in report.comparison.rows]
        )
    if report.pictures is not None:
        made["class-errors"] = report.pictures.class_chart
        made["calibration"] = report.pictures.calibration_chart
    return {name: charts.themed(chart) for name, chart in made.items() if chart is not None}


def _subtitle(runs: Sequence[RunRecord]) -> str:
    run = runs[0]
    scores = run.scores("ten_crop") or run.scores("center")
    if scores is None:
        return "Not evaluated yet."
    views = "ten crops" if run.scores("ten_crop") else "the centre crop"
    state = "" if run.result else " so far"
    others = f" (of {len(runs)} runs, the first)" if len(runs) > 1 else ""
    return (
        f"{scores['top1_error']:.2%} top-1 error and {scores['top5_error']:.2%} top-5 error{state} "
        f"with {views}, on {scores['count']:,} validation images{others}."
    ).replace("%", " %")


def _result_rows(run: RunRecord) -> list[dict[str, Any]]:
    rows = []
    for views, title in VIEW_TITLES.items():
        scores = run.scores(views)
        if scores is None:
            continue
        count = int(scores["count"])
        rows.append(
            {
                "name": run.name,
                "views": title,
                "top1": _measured(scores["top1_error"], count),
                "top5": _measured(scores["top5_error"], count),
                "loss": scores["loss"],
                "count": count,
                "source": "this run" if run.result else f"this run, step {scores['step']:,}",
            }
        )
    return rows


def _published_rows(run: RunRecord) -> list[dict[str, Any]]:
    return [
        {
            "name": row.title,
            "views": VIEW_TITLES[row.views],
            "top1": _published(row.top1_error),
            "top5": _published(row.top5_error),
            "loss": None,
            "count": None,
            "source": row.source,
        }
        for row in PUBLISHED.get(str(run.config["data.name"]), [])
    ]


def _measured(error: float, count: int) -> dict[str, float]:
    low, high = wilson_interval(error, count)
    return {"error": error, "low": low, "high": high}


def _published(error: float | None) -> dict[str, float | None] | None:
    return None if error is None else {"error": error, "low": None, "high": None}


def _describe(run: RunRecord) -> dict[str, Any]:
    return {
        "heading": f"What ran: {run.workdir}",
        "facts": _facts(run),
        "command": shlex.join(run.command),
        "command_note": ", after removing or renaming the folder" if run.result else "",
        "changed": [(key, repr(old), repr(new)) for key, old, new in run.changed()],
    }


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    environment, result = run.environment, run.result or {}
    devices = environment.get("devices") or []
    versions = environment.get("versions") or {}
    waits = [line["data_wait_fraction"] for line in run.training if "data_wait_fraction" in line]
    facts = {
        "Network": run.config["model.name"],
        "Data set": run.config["data.name"],
        "Batch": f"{run.config['train.batch_size']:,} images",
        "Precision": run.config["model.dtype"],
        "Steps": f"{result['step']:,}" if result else _progress(run),
        "Time": clock(result["seconds"]) if "seconds" in result else None,
        "Images per second": f"{result['images_per_second']:,.0f}"
        if "images_per_second" in result
        else None,
        "Waiting for data": f"{sum(waits) / len(waits):.1%}".replace("%", " %") if waits else None,
        "Devices": ", ".join(f"{devices.count(kind)} × {kind}" for kind in dict.fromkeys(devices)),
        "Cores": environment.get("cores"),
        "JAX": versions.get("jax"),
        "Python": environment.get("python"),
        "Commit": (environment.get("git_commit") or "")[:12],
        "Started": str((environment.get("starts") or [{}])[0].get("time", ""))[:16].replace(
            "T", " "
        ),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _progress(run: RunRecord) -> str | None:
    return f"{run.lines[-1]['step']:,}, not finished" if run.lines else None


def _unescaped(text: str) -> Any:
    """Mark our own style sheet as safe."""
    return Markup(text)


def _script_json(values: Any) -> str:
    """Return JSON that may stand inside <script>, whatever the class names are."""
    text = json.dumps(values, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
