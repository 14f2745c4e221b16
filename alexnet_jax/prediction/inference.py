"""Evaluation of trained networks on a split of their data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.evaluation.scoring import SplitPredictions, evaluate_split
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.runs.data_facts import check_same_classes
from alexnet_jax.runs.run import make_evaluation_batches
from alexnet_jax.runs.trained import TrainedNetwork, open_trained
from alexnet_jax.system.cores import usable_cores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Networks evaluated together on a split."""

    by_view: dict[str, SplitPredictions]
    class_names: list[str]  # By label.
    data: str  # Name of the data set.


def evaluate_workdirs(
    workdirs: Sequence[str],
    views: str,
    data_dir: str | None = None,
    checkpoint: str | None = None,
    split: str = "validation",
) -> dict[str, dict[str, float | int]]:
    """Return all `METRICS` and count by kind of view; arguments: `evaluate_workdirs_by_view`."""
    by_view = evaluate_workdirs_by_view(workdirs, views, data_dir, checkpoint, split).by_view
    return {kind: evaluated.scores for kind, evaluated in by_view.items()}


def evaluate_workdirs_by_view(
    workdirs: Sequence[str],
    views: str,
    data_dir: str | None = None,
    checkpoint: str | None = None,
    split: str = "validation",
    keep_probabilities: bool = False,
    notes: TextIO | None = None,
) -> Evaluation:
    """Evaluate networks, their probabilities averaged, on a split of the first one's data set.

    Args:
        workdirs: One workdir per network; all must have been trained on the same data set.
        views: "center" or "ten_crop", which includes the scores of the center.
        data_dir: Folder of the data set, if it is not where the first run found it.
        checkpoint: Checkpoint of each workdir, as for `load_trained`.
        split: Split of the data set.
        keep_probabilities: Whether to return the probabilities too.
        notes: Stream for the names of the checkpoints that are read; None means standard output.
    """
    networks = [open_trained(Path(each), checkpoint, data_dir, notes) for each in workdirs]
    config, mesh = networks[0].config, networks[0].mesh
    for workdir, network in zip(workdirs, networks, strict=True):
        check_same_task(workdirs[0], networks[0], workdir, network)
    examples = make_evaluation_batches(config, mesh, split)
    for workdir in workdirs:
        check_same_classes(Path(workdir), examples.pixels)
    batches = prefetch_to_device(examples, 0, config.data.threads or usable_cores(), mesh)
    predict = [network.predict for network in networks]
    try:
        evaluated = evaluate_split(
            predict, batches, examples.count, views, mesh, workdirs, keep_probabilities
        )
    except NotFiniteError as error:
        raise NotFiniteError(f"{error}: give another --checkpoint") from error
    return Evaluation(evaluated, networks[0].class_names, config.data.name)


def check_same_task(
    first: str, expected: TrainedNetwork, workdir: str, found: TrainedNetwork
) -> None:
    """Raise UserError unless two networks have the same data set, image size and classes."""
    here, there = found.config.data, expected.config.data
    problems = [
        f"{workdir} was trained with data.{key}={here[key]}, {first} with {there[key]}"
        for key in ("name", "image_size")
        if here[key] != there[key]
    ]
    ours, theirs = expected.class_names, found.class_names
    if len(ours) != len(theirs):
        problems.append(f"{workdir} has {len(theirs)} classes, {first} has {len(ours)}")
    problems += [
        f"class {label} is {other!r} in {workdir}, {one!r} in {first}"
        for label, (one, other) in enumerate(zip(ours, theirs, strict=False))
        if one != other
    ]
    if problems:
        raise UserError(f"{problems[0]}: they cannot be evaluated together")
