"""The page of the claims, docs/reproducing-2012.md: written from the table and the logs alone."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.views import VIEW_TITLES
from alexnet_jax.report.matplotlib_style import Drawing
from alexnet_jax.reproduction import costs
from alexnet_jax.reproduction.claims import BASELINE, BASELINE_RUNS, Claims
from alexnet_jax.reproduction.figures import draw_curves, draw_differences, draw_starts
from alexnet_jax.reproduction.findings import (
    Finding,
    find,
    format_deviation,
    format_p,
    format_value,
    read_logs,
)
from alexnet_jax.reproduction.logs import Log, log_path
from alexnet_jax.reproduction.measures import MEASURES, is_pilot, steps_to_leave
from alexnet_jax.reproduction.seed_noise import SeedNoise, seed_noise
from alexnet_jax.sweeps.statistics import ALPHA


def check_page(page: Path) -> None:
    """Raise UserError if the page cannot be written."""
    if not page.parent.is_dir():
        raise UserError(f"--page={page}: there is no folder {page.parent}")
    if page.is_dir():
        raise UserError(f"--page={page} is a folder; give the name of a file in it")
    if not os.access(page if page.exists() else page.parent, os.W_OK):
        raise UserError(f"--page={page} cannot be written")


def write_page(claims: Claims, results: Path, page: Path) -> list[Finding]:
    """Write the page of the logs in `results`; return what it says.

    Its figures go into images/paper beside it.
    """
    logs = read_logs(results, claims)
    findings = find(claims, logs)
    figures = draw_figures(claims, logs, findings)
    for name, (drawing, _) in figures.items():
        drawing.write(page.parent / "images" / "paper", name)
    page.write_text(format_page(claims, results, logs, findings, figures))
    return findings


def draw_figures(
    claims: Claims, logs: Sequence[Log], findings: Sequence[Finding]
) -> dict[str, tuple[Drawing, str]]:
    """Return the figures of the logs by file name, each with its caption."""
    figures = {}
    for log in logs:
        name, data = log.experiment, log.data
        experiment = claims.experiments[name]
        own = [each for each in findings if (each.claim.experiment, each.data) == (name, data)]
        measures = [MEASURES[each.claim.measure] for each in own]
        if measures and all(measure.curve for measure in measures):
            drawing = draw_curves(log, experiment, experiment.data[data], measures[0])
            what = "Figure 1 of the paper" if name == "figure1" else experiment.title
            caption = (
                f"{what} on {data}: median over seeds, band of all seeds. Dots: the median at "
                "which an arm is at the error of the dotted line."
            )
        elif any(each.claim.measure == "stuck" for each in own):
            drawing = draw_starts(log, experiment)
            caption = (
                f"Each start on {data}, one line a seed: blue where it leaves the loss of a guess "
                "(dotted), orange where it stays."
            )
        elif own:
            published = {
                claim.name: (claim.sign or 1) * claim.difference
                for claim in claims.claims
                if claim.difference is not None
            }
            drawing = draw_differences(own, published)
            caption = (
                f"Differences on {data} with 95 % intervals. Blue agrees with the paper, orange "
                "does not, gray is not told apart. Diamonds: what the paper or its log says of "
                "ImageNet."
            )
        else:
            continue
        figures[f"{name}_{data.replace('/', '_')}"] = drawing, caption
    return figures


def format_page(
    claims: Claims,
    results: Path,
    logs: Sequence[Log],
    findings: Sequence[Finding],
    figures: Mapping[str, tuple[Drawing, str]],
) -> str:
    """Return the page as Markdown, with the figures of `draw_figures`."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    source = resources.files(__package__).joinpath("page.md.jinja").read_text()
    noise = _noise(logs)
    return environment.from_string(source).render(
        results=results,
        claims=claims,
        findings=findings,
        measured={each.claim.name for each in findings},
        datasets=[f"`{data}`" for data in dict.fromkeys(each.data for each in findings)],
        total_runs=sum(len(log.runs) for log in logs),
        summary=_summary(findings),
        alpha=ALPHA,
        parts=[_part(claims, results, log) for log in logs],
        without=_without(claims, logs, findings),
        figures=figures,
        starts=[
            row
            for log in logs
            if any(claim.measure == "stuck" for claim in claims.of_experiment(log.experiment))
            for row in _starts(claims.experiments[log.experiment].arms, log)
        ],
        noise=noise,
        noise_sentence=_noise_sentence(noise),
        costs=[
            (claim, cost)
            for claim in claims.claims
            if (cost := costs.imagenet_cost(claims, claim)) and cost.seeds
        ],
        ceil=math.ceil,
        deviation=costs.ASSUMED_DEVIATION,
        predicted_deviation=f"{costs.predicted_deviation():.2f}",
        noise_ratio=max((each.deviation / each.binary for each in noise), default=None),
        format_value=format_value,
        log_name=lambda each: log_path(Path(), each.data, each.claim.experiment),
        format_p=format_p,
        format_deviation=format_deviation,
        view_titles=VIEW_TITLES,
        measures=MEASURES,
    )


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(each.verdict for each in findings)
    parts = [f"*{verdict}* {count}" for verdict, count in counts.most_common()]
    return f"Verdicts by the rule below: {', '.join(parts)}."


def _part(claims: Claims, results: Path, log: Log) -> dict[str, Any]:
    experiment, own = claims.experiments[log.experiment], claims.of_experiment(log.experiment)
    only = f"--claim={own[0].name} " if len(own) == 1 else ""
    setting = experiment.data[log.data]
    measured = {arm: [r for r in log.of_arm(arm) if not is_pilot(r)] for arm in experiment.arms}
    per_seed = {BASELINE: BASELINE_RUNS}  # As for `run_experiments`.
    seeds = max(1, *(len(runs) // per_seed.get(arm, 1) for arm, runs in measured.items()))
    return {
        "title": experiment.title,
        "data": log.data,
        "about": setting.about.strip(),
        "prepare": f"python -m alexnet_jax.prepare {setting.prepare} --data_dir=data",
        "command": f"python -m launch.reproduce {only}--data={log.data} --seeds={seeds} "
        "--data_dir=data",
        "environment": _environment(log),
        "runs": len(log.runs),
        "seconds": round(median(run.result["seconds"] for run in log.runs)),
        "log": log_path(results, log.data, log.experiment),
    }


def _environment(log: Log) -> str:
    machines = {
        f"{run.environment['processor']}, {run.environment['cores']} core"
        f"{'s' if run.environment['cores'] > 1 else ''}, jax {run.environment['versions']['jax']}"
        for run in log.runs
        if "processor" in run.environment
    }
    return "; ".join(sorted(machines))


def _starts(arms: Iterable[str], log: Log) -> list[dict[str, Any]]:
    """Return, for each arm with runs, how many left the loss of a guess, and after which step."""
    rows = []
    for arm in arms:
        runs = log.of_arm(arm)
        if not runs:
            continue
        steps = [step for run in runs if (step := steps_to_leave(run, log.config)) is not None]
        when = f"{median(steps):.0f} ({min(steps)} to {max(steps)})" if steps else ""
        loss = f"{median(run.train[-1][1] for run in runs):.2f}"
        rows.append(
            {"arm": arm, "left": f"{len(steps)} of {len(runs)}", "when": when, "loss": loss}
        )
    return rows


def _without(claims: Claims, logs: Sequence[Log], findings: Sequence[Finding]) -> list[str]:
    """Return the claims whose experiment has a log, but that gave no number."""
    found = {(each.claim.name, each.data) for each in findings}
    return [
        f"`{claim.name}` on `{log.data}`"
        for log in logs
        for claim in claims.of_experiment(log.experiment)
        if (claim.name, log.data) not in found
    ]


def _noise(logs: Sequence[Log]) -> list[SeedNoise]:
    found = [seed_noise(log, views) for log in logs for views in ("center", "ten_crop")]
    return [each for each in found if each is not None]


def _noise_sentence(noise: Sequence[SeedNoise]) -> str:
    if not noise:
        return ""
    if all(each.low <= each.independent <= each.high for each in noise):
        return "The prediction lies within the intervals: these networks are equally good."
    ratio = max(each.deviation / each.independent for each in noise)
    return (
        f"The spread is up to {ratio:.1f} times what independent mistakes would give: some seeds "
        "make better networks than others."
    )
