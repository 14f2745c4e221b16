"""From a config to the parts of a run: the one room that reads config values.

The parts take plain arguments and know nothing of configs.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import Statistics, load_statistics
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import make_view_predictor
from alexnet_jax.models import AlexNet, create_model
from alexnet_jax.parallel.mesh import check_batch_divides, make_data_mesh
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.training.configuration import check_config
from alexnet_jax.training.optimizer import krizhevsky_sgd, pytorch_sgd
from alexnet_jax.training.schedule import geometric, piecewise, stepped
from alexnet_jax.training.state import TrainState, abstract_state, create_state
from alexnet_jax.training.step import TrainStep, make_train_step


@dataclass(frozen=True)
class Durations:
    """The lengths of a run in steps; `stuck_after` is None for a run that must not warn."""

    total: int
    per_epoch: float
    evaluate_every: int
    save_every: int
    log_every: int
    stuck_after: int | None

    def steps(self, epochs: Sequence[float]) -> list[int]:
        """Turn epochs into completed steps."""
        return [round(epoch * self.per_epoch) for epoch in epochs]


@dataclass(frozen=True)
class Network:
    """A network as testing needs it.

    Attributes:
        model: the linen module.
        predict: (parameters, images uint8 [B, S, S, 3], number of the view) -> probabilities.
        description: shapes, dtypes and shardings of its `TrainState`.
    """

    model: AlexNet
    predict: Callable
    description: TrainState


@dataclass(frozen=True)
class Run:
    """The parts of a training run."""

    mesh: Mesh
    network: Network
    durations: Durations
    schedule: optax.Schedule
    training: TrainingBatches
    validation: EvaluationBatches
    threads: int
    train_step: TrainStep
    create_state: Callable[[], TrainState]
    preprocessing: Preprocessing
    class_names: list[str]


def assemble(config: ConfigDict) -> Run:
    """Set JAX up and build the parts of a run.

    Raises:
        UserError: the config holds something that cannot be, or asks for data that is not there.
    """
    check_config(config)
    configure_jax(config.train.deterministic)
    mesh = make_data_mesh()
    check_batch_divides(config.train.batch_size, mesh.size, "config.train.batch_size")
    records = open_split(config, "train")
    statistics = load_statistics(records.directory, config.data.image_size)
    durations = resolve_durations(config, len(records))
    schedule = make_schedule(config, durations)
    preprocessing = Preprocessing(statistics.mean_image, np.ones(3, np.float32))
    optimizer = make_optimizer(config, schedule, durations)
    network = make_network(config, preprocessing, mesh)
    model, seed, crop_size = network.model, config.train.seed, config.data.crop_size
    augmentation = make_augmentation(config, preprocessing, statistics, durations)
    return Run(
        mesh=mesh,
        network=network,
        durations=durations,
        schedule=schedule,
        training=TrainingBatches(
            records, config.train.batch_size, config.data.image_size, seed, durations.total
        ),
        validation=make_validation(config, mesh),
        threads=host_threads(config),
        train_step=make_train_step(model, optimizer, augmentation, seed, mesh),
        create_state=partial(create_state, model, optimizer, crop_size, seed, mesh),
        preprocessing=preprocessing,
        class_names=records.class_names,
    )


def open_split(config: ConfigDict, split: str) -> Records:
    """Open the records of a split; UserError where their classes are not the model's."""
    records = Records(config.data.dir, config.data.name, split)
    if records.num_classes != config.model.num_classes:
        raise UserError(
            f"{config.data.name} has {records.num_classes} classes, the model "
            f"{config.model.num_classes}: give --config.model.num_classes={records.num_classes}"
        )
    return records


def make_validation(config: ConfigDict, mesh: Mesh) -> EvaluationBatches:
    """Return the batches that every test reads."""
    check_batch_divides(config.eval.batch_size, mesh.size, "config.eval.batch_size")
    records = open_split(config, "validation")
    return EvaluationBatches(records, config.eval.batch_size, config.data.image_size)


def make_network(config: ConfigDict, preprocessing: Preprocessing, mesh: Mesh) -> Network:
    """Build the network as testing needs it; UserError where the crop is too small for it."""
    model = make_model(config)
    # Only the structure of the state matters here, which no rate changes.
    schedule = optax.constant_schedule(0.0)
    optimizer = make_optimizer(config, schedule, resolve_durations(config, examples=1))
    try:
        description = abstract_state(model, optimizer, config.data.crop_size, mesh)
    except ValueError as error:
        raise UserError(
            f"model {config.model.name!r} cannot take crops of {config.data.crop_size} pixels; it "
            f"is made for {model.spec.crop_size} ({error})"
        ) from error
    predict = make_view_predictor(model, preprocessing, config.data.crop_size, mesh)
    return Network(model, predict, description)


def make_model(config: ConfigDict) -> AlexNet:
    """Return the linen module that the config names; UserError lists the known names."""
    model = config.model
    return create_model(model.name, model.num_classes, model.dtype, model.changes)


def resolve_durations(config: ConfigDict, examples: int) -> Durations:
    """Turn epochs into steps, once; where both are set, steps count."""
    per_epoch = examples / config.train.batch_size

    def in_steps(steps: int | None, epochs: float | None) -> int:
        return steps if steps is not None else max(1, round((epochs or 0) * per_epoch))

    total = in_steps(config.train.steps, config.train.epochs)
    return Durations(
        total=total,
        per_epoch=per_epoch,
        evaluate_every=in_steps(config.eval.every_steps, config.eval.every_epochs),
        save_every=in_steps(config.checkpoint.every_steps, config.checkpoint.every_epochs),
        log_every=config.log.every_steps,
        stuck_after=config.log.stuck_after_steps,
    )


def make_schedule(config: ConfigDict, durations: Durations) -> optax.Schedule:
    """Return the learning rate as a function of completed steps."""
    schedule = config.schedule
    match schedule.name:
        case "geometric":
            return geometric(schedule.learning_rate, durations.total, schedule.decay)
        case "stepped":
            boundaries = schedule.boundary_steps or durations.steps(schedule.boundaries)
            return stepped(schedule.learning_rate, boundaries, schedule.factor)
    return optax.constant_schedule(schedule.learning_rate)


def make_optimizer(
    config: ConfigDict, schedule: optax.Schedule, durations: Durations
) -> optax.GradientTransformation:
    """Return the update rule that the config names."""
    optimizer = config.optimizer
    if optimizer.name == "pytorch_sgd":
        return pytorch_sgd(schedule, optimizer.momentum, optimizer.weight_decay)
    conv1 = piecewise(
        [1.0, *config.schedule.conv1_factors],
        durations.steps(config.schedule.conv1_boundaries),
    )
    return krizhevsky_sgd(
        schedule,
        momentum=optimizer.momentum,
        weight_decay=optimizer.weight_decay,
        bias_rate_multiplier=optimizer.bias_rate_multiplier,
        bias_learning_rate=make_bias_schedule(config, durations),
        layer_factors={"conv1": conv1} if config.schedule.conv1_factors else {},
    )


def make_bias_schedule(config: ConfigDict, durations: Durations) -> optax.Schedule | None:
    """Return the biases' own rate; None where they follow the kernels'."""
    rate = config.optimizer.bias_rate_multiplier * config.schedule.learning_rate
    match config.optimizer.bias_schedule:
        case "constant":
            return optax.constant_schedule(rate)
        case "halfway":  # Run 170 of the 2012 code: dexp[10,0,2].
            return geometric(rate, durations.total, config.optimizer.bias_decay, levels=2)
    return None


def make_augmentation(
    config: ConfigDict,
    preprocessing: Preprocessing,
    statistics: Statistics,
    durations: Durations,
) -> Augmentation:
    """Return what the step does to images before the network sees them."""
    return Augmentation(
        preprocessing=preprocessing,
        crop_size=config.data.crop_size,
        crop=config.augment.crop == "random",
        flip=config.augment.flip,
        color_axes=statistics.color_axes,
        color_std=statistics.color_std,
        color_noise=make_color_noise(config, durations),
        color_rescale=config.augment.color_rescale,
    )


def make_color_noise(config: ConfigDict, durations: Durations) -> optax.Schedule | None:
    """Return the colour noise as a function of completed steps; None for a run without."""
    noise, until = config.augment.color_noise, config.augment.color_noise_until
    if not noise:
        return None
    return piecewise([noise, 0.0], durations.steps([until])) if until else piecewise([noise], [])


def host_threads(config: ConfigDict) -> int:
    """Return how many threads prepare batches: one a core unless the config says otherwise."""
    return config.data.threads or os.cpu_count() or 1
