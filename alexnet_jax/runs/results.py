"""What a run prints at its end: errors with their intervals, speed, and what to do next."""

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
from jax.experimental import multihost_utils

from alexnet_jax.evaluation.metrics import METRICS, format_metric, metric_title
from alexnet_jax.evaluation.views import VIEW_TITLES
from alexnet_jax.runs.checkpoint_choice import best_step, center_errors
from alexnet_jax.runs.intervals import wilson_interval
from alexnet_jax.runs.reading import read_log, saved_steps
from alexnet_jax.system.progress import clock


def format_result(result: Mapping[str, Any], workdir: Path) -> str:
    """Return the table of a finished run: errors in percent with 95 % intervals (Wilson)."""
    return "\n\n".join([_table(result), _facts(result, workdir), _next_commands(workdir)])


def describe_finished(
    result: Mapping[str, Any], workdir: Path, length: str, idle_flags: Sequence[str]
) -> str:
    """Return what a user who starts a finished run again should know.

    `length` is the key that set the run's length, "train.epochs" or "train.steps". `idle_flags` are
    flags of the command that need a step to do something.
    """
    ended = datetime.fromtimestamp((workdir / "result.json").stat().st_mtime).astimezone()
    lines = [
        f"{workdir} holds a finished run: {result['step']:,} steps, ended {ended:%Y-%m-%d %H:%M}. "
        "Nothing is left to train.",
        "For a new run, give another --workdir. To train this one for longer, give a larger "
        f"--config.{length} and --resume=ignore_config.",
    ]
    lines += [f"{flag} has no effect: there is no step left." for flag in idle_flags]
    return "\n".join(lines)


def _table(result: Mapping[str, Any]) -> str:
    titles = [metric_title(name) for name in METRICS]
    rows = [["", *titles, "images"]]
    for views, title in VIEW_TITLES.items():
        scores = result[views]
        cells = [_cell(name, scores[name], scores["count"]) for name in METRICS]
        rows.append([title, *cells, f"{scores['count']:,}"])
    first, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([title.ljust(first), *map(str.rjust, cells, widths)]) for title, *cells in rows
    )


def _cell(name: str, value: float, count: int) -> str:
    text = format_metric(name, value)
    if not name.endswith("_error"):
        return text
    low, high = wilson_interval(value, count)
    return f"{text} ({100 * low:.2f}-{100 * high:.2f})"


def _facts(result: Mapping[str, Any], workdir: Path) -> str:
    lines = read_log(workdir)
    errors = center_errors(lines, saved_steps(workdir))
    best = best_step(errors)
    facts = ["The ranges are 95 % intervals of the errors (Wilson)."]
    if best is not None:
        facts.append(f"best checkpoint: step {best:,}, center crop top-1 error {errors[best]:.2%}")
    speed = f"{result['step']:,} steps in {clock(result['seconds'])}"
    if result["images_per_second"]:
        speed += f", {result['images_per_second']:,.0f} images/s (median)"
    waits = [line["data_wait_fraction"] for line in lines if "data_wait_fraction" in line]
    if waits:
        speed += f", {sum(waits) / len(waits):.1%} of the time waiting for data"
    return "\n".join([*facts, speed])


def _next_commands(workdir: Path) -> str:
    commands = [
        ("report", f"python -m alexnet_jax.report --workdir={workdir}"),
        ("classify", f"python -m alexnet_jax.predict --workdir={workdir} IMAGE …"),
        ("evaluate", f"python -m alexnet_jax.evaluate --workdir={workdir}"),
    ]
    if importlib.util.find_spec("tensorboard") is not None:
        commands.append(("curves", f"tensorboard --logdir={workdir}/tensorboard"))
    return "\n".join(["next:", *(f"  {name:<10}{command}" for name, command in commands)])


def format_scores(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of scores by kind of view; errors, which are fractions, in percent."""
    widths = {name: max(8, len(metric_title(name)) + 1) for name in METRICS}
    titles = [metric_title(name).rjust(width) for name, width in widths.items()]
    lines = [["views".ljust(10), *titles, "images".rjust(8)]]
    for views, values in scores.items():
        cells = [format_metric(name, values[name]).rjust(width) for name, width in widths.items()]
        lines.append([views.ljust(10), *cells, f"{values['count']:8,}"])
    return "\n".join(" ".join(line) for line in lines)


def parameters_sha256(params: Any) -> str:
    """Hash names, shapes and bits of the parameters; all processes of a cluster must call it."""
    digest = hashlib.sha256()
    whole = multihost_utils.process_allgather(params, tiled=True)
    for path, leaf in jax.tree_util.tree_leaves_with_path(whole):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        digest.update(leaf.tobytes())
    return digest.hexdigest()
