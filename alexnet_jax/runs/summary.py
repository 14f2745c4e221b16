"""What a run prints at its start: what it trains, on what, for how long, and what is unusual."""

import math
from collections.abc import Sequence

import jax
from ml_collections import ConfigDict

from alexnet_jax.layer_table import compare_crop
from alexnet_jax.models import find_spec
from alexnet_jax.runs.run import Run
from alexnet_jax.training.from_config import Durations


def summarize_run(run: Run, start: str | None = None) -> str:
    """Return a table of two columns; `start` says what the run resumes from, if it does."""
    experiment, config = run.experiment, run.experiment.config
    model, data, durations = config.model, config.data, experiment.durations
    leaves = jax.tree.leaves(experiment.network.abstract_state.params)
    parameters = sum(math.prod(leaf.shape) for leaf in leaves)
    epochs = durations.total / durations.per_epoch
    rows = {
        "network": f"{name_network(config)}, {parameters:,} parameters",
        "precision": f"{model.dtype}, products {model.precision}",
        "devices": _describe_devices(run),
        "data": (
            f"{run.facts.examples:,} training and {run.validation.count:,} validation images, "
            f"{model.num_classes:,} classes"
        ),
        "": f"{data.name} in {data.dir}, from {data.source} with {run.threads} threads",
        "run": (
            f"{durations.total:,} steps of {run.training.batch_size:,} images, {epochs:.3g} epochs"
        ),
        "optimizer": (
            f"{config.optimizer.name}, {config.schedule.name}, learning rate "
            f"{config.schedule.learning_rate:g}, seed {config.train.seed}"
        ),
        "start": start or _describe_start(run),
    }
    return "\n".join(f"{name:<11}{text}" for name, text in rows.items())


def _describe_start(run: Run) -> str:
    return run.pretrained.describe(run.experiment) if run.pretrained else "new parameters"


def name_network(config: ConfigDict) -> str:
    """Return the network's name, with its modifications, and its crop size if not the default."""
    model, crop_size = config.model, config.data.crop_size
    name = model.name
    if model.modifications:
        name += f" with {', '.join(model.modifications)}"
    if crop_size != find_spec(model.name, model.modifications).crop_size:
        name += f" on crops of {crop_size}"
    return name


def late_changes(schedule: ConfigDict, durations: Durations) -> list[str]:
    """Return the changes of learning rates that come after the end of the run, as key=value.

    Args:
        schedule: Values of config.schedule.
        durations: Durations of the run.
    """
    keys = ["conv1_boundaries", "output_boundaries"]
    if schedule.name == "step_decay":
        keys.append("boundary_steps" if schedule.boundary_steps else "boundaries")
    return [
        f"schedule.{key}={value:g}"
        for key in keys
        for value, step in zip(
            schedule[key],
            schedule[key] if key == "boundary_steps" else durations.steps(schedule[key]),
            strict=True,
        )
        if step >= durations.total
    ]


def _describe_devices(run: Run) -> str:
    experiment = run.experiment
    device, layout = experiment.mesh.devices.flat[0], experiment.config.parallel.layout
    text = f"{experiment.mesh.size} x {device.device_kind}"
    if jax.process_count() > 1:
        text += f" in {jax.process_count()} processes"
    if experiment.num_microbatches > 1:
        text += f", {experiment.num_microbatches} microbatches a step"
    return text if experiment.mesh.size == 1 else f"{text}, layout {layout}"


def notes_on(run: Run, unrecorded: Sequence[int]) -> list[str]:
    """Return notes on an unusual crop size, late rate changes, changed data and a lost log.

    `unrecorded` are the steps of checkpoints without a line in the log.
    """
    config = run.experiment.config
    notes = [compare_crop(config.model.name, run.experiment.network.model, config.data.crop_size)]
    late = late_changes(config.schedule, run.experiment.durations)
    if late:
        notes.append(
            f"the run ends at step {run.experiment.durations.total:,}, before these changes: "
            f"{'; '.join(late)}. Set the keys for a run of this length"
        )
    if run.data_changes:
        notes.append(
            "the data are not those of the run's first step "
            f"({'; '.join(run.data_changes)}); the run resumes with their images and colors, its "
            "own preprocessing and class names"
        )
    if unrecorded:
        notes.append(
            f"metrics.jsonl has no line about the checkpoints {', '.join(map(str, unrecorded))}: "
            "they are kept, as one of them may be the best"
        )
    return [f"note: {note}" for note in notes if note]
