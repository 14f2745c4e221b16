"""Reads the finished runs of an experiment into its log, with what only a further look can tell."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.config.checks import LATEST
from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.prediction.inference import evaluate_workdirs, evaluate_workdirs_by_view
from alexnet_jax.reproduction.claims import BASELINE, Experiment
from alexnet_jax.reproduction.logs import Ensemble, LoggedRun
from alexnet_jax.reproduction.trials import RATE, trial_name
from alexnet_jax.runs.reading import evaluations, read_json, read_log
from alexnet_jax.runs.saved_config import load_config
from alexnet_jax.sweeps.trial_run import read_trials
from alexnet_jax.sweeps.trials import SEED
from alexnet_jax.system.atomic_write import atomic_write

SIZES = (2, 3, 4, 5)  # Of the ensembles.
_ENVIRONMENT = ("processor", "cores", "devices", "python", "platform", "versions", "git_commit")


def read_runs(root: Path, experiment: Experiment, closer: Collection[str]) -> Iterator[LoggedRun]:
    """Yield the finished runs of an experiment from their folder.

    `closer` names the arms whose mistakes are listed and whose training images are evaluated.
    """
    for workdir, trial in read_trials(root):
        result = read_json(workdir / "result.json")
        if result is None:
            continue
        arm = trial["group"].partition(",")[0]
        more: Mapping[str, Any] = {}
        if arm in closer:
            more = _once(workdir / "closer.json", partial(_look_closer, workdir))
        rate = trial["overrides"].get(RATE) if experiment.rates else None
        environment = read_json(workdir / "environment.json") or {}
        train, evaluations = _curves(workdir)
        yield LoggedRun(
            arm=arm,
            seed=trial["seed"],
            rate=rate,
            result=result,
            train=train,
            evaluations=evaluations,
            mistakes=more.get("mistakes", {}),
            training_set=more.get("training_set", {}),
            environment={key: environment[key] for key in _ENVIRONMENT if key in environment},
        )


def read_ensembles(root: Path, runs: Sequence[LoggedRun]) -> list[Ensemble]:
    """Evaluate disjoint ensembles of the baseline's networks, in the order of their seeds."""
    seeds = [run.seed for run in runs if run.arm == BASELINE]
    ensembles = []
    for size in SIZES:
        for first in range(0, len(seeds) - size + 1, size):
            members = seeds[first : first + size]
            names = [trial_name(BASELINE, {SEED: seed} if seed else {}) for seed in members]
            folders = [str(root / name) for name in names]
            path = root / "ensembles" / f"{'+'.join(map(str, members))}.json"
            scores = _once(path, partial(evaluate_workdirs, folders, "ten_crop", None, LATEST))
            ensembles.append(Ensemble(members, scores))
    return ensembles


def read_config(root: Path) -> dict[str, Any]:
    """Return the config that the arms override, by key, without the folder of the data."""
    flat = flatten(load_config(root).to_dict())
    return {key: value for key, value in flat.items() if key in SCHEMA and key != "data.dir"}


def _curves(workdir: Path) -> tuple[list[list[float]], list[list[float]]]:
    """Return [epoch, loss, top-1 error] of training, and of evaluations of the center crop."""
    lines = read_log(workdir)
    train = [line for line in lines if line["kind"] == "train"]
    epochs_per_step = train[-1]["epoch"] / train[-1]["step"] if train else 0.0

    def points(lines: Sequence[Mapping[str, Any]]) -> list[list[float]]:
        return [
            [
                round(line["step"] * epochs_per_step, 4),
                round(line["loss"], 5),
                round(line["top1_error"], 5),
            ]
            for line in lines
        ]

    return points(train), points(evaluations(lines, "center"))


def _look_closer(workdir: Path) -> dict[str, Any]:
    """Return what result.json does not tell: mistakes by image, scores on the training images."""
    evaluated = evaluate_workdirs_by_view([str(workdir)], "ten_crop", checkpoint=LATEST).by_view
    mistakes = {
        views: np.flatnonzero(each.predicted != each.labels).tolist()
        for views, each in evaluated.items()
    }
    training_set = evaluate_workdirs([str(workdir)], "center", None, LATEST, "train")
    return {"mistakes": mistakes, "training_set": training_set}


def _once(path: Path, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what a file holds, or measure it and keep it there."""
    kept = read_json(path)
    if kept is None:
        kept = dict(measure())
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(kept) + "\n")
    return kept
