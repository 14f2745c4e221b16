"""The table of results: a run's errors, and published ones on the data sets of the paper."""

from collections.abc import Mapping
from typing import Any

from alexnet_jax.evaluation.views import VIEW_TITLES
from alexnet_jax.report.saved_run import SavedRun
from alexnet_jax.runs.intervals import wilson_interval

_PAPER = "Krizhevsky, Sutskever, Hinton, NIPS 2012"

# By data set: network, views, top-1 and top-5 error as fractions, source.
_PUBLISHED = {
    "imagenet2012": [
        ("1 CNN", "ten_crop", 0.407, 0.182, f"{_PAPER}, table 2"),
        ("5 CNNs", "ten_crop", 0.381, 0.164, f"{_PAPER}, table 2"),
        (
            "torchvision's alexnet", "center", 1 - 0.56522, 1 - 0.79066,
            "torchvision, AlexNet_Weights.IMAGENET1K_V1",
        ),
    ],
    "imagenet2010": [
        ("1 CNN, test images", "ten_crop", 0.375, 0.170, f"{_PAPER}, table 1"),
        ("1 CNN, test images", "center", 0.390, 0.183, f"{_PAPER}, footnote 5"),
    ],
}  # fmt: skip


def result_rows(run: SavedRun) -> list[dict[str, Any]]:
    """Return a row for each kind of view that the run has evaluated, and one for its best step."""
    rows = []
    for views in VIEW_TITLES:
        scores = run.scores(views)
        if scores is not None:
            source = "this run" if run.result else f"this run, step {scores['step']:,}"
            rows.append(_row(run, VIEW_TITLES[views], scores, source))
    evaluations = run.evaluations("center")
    best = min(reversed(evaluations), key=lambda line: line["top1_error"], default=None)
    if best is not None and best is not evaluations[-1]:
        title = f"{VIEW_TITLES['center']}, best step {best['step']:,}"
        rows.append(_row(run, title, best, "this run"))
    return rows


def _row(run: SavedRun, views: str, scores: Mapping[str, Any], source: str) -> dict[str, Any]:
    count = int(scores["count"])
    return {
        "name": run.name,
        "views": views,
        "top1": _measured(scores["top1_error"], count),
        "top5": _measured(scores["top5_error"], count),
        "loss": scores["loss"],
        "count": count,
        "source": source,
    }


def published_rows(data: str) -> list[dict[str, Any]]:
    """Return the rows of published networks for a data set."""
    return [
        {
            "name": name,
            "views": VIEW_TITLES[views],
            "top1": {"error": top1_error, "low": None},
            "top5": {"error": top5_error, "low": None},
            "loss": None,
            "count": None,
            "source": source,
        }
        for name, views, top1_error, top5_error, source in _PUBLISHED.get(data, [])
    ]


def _measured(error: float, count: int) -> dict[str, float]:
    low, high = wilson_interval(error, count)
    return {"error": error, "low": low, "high": high}
