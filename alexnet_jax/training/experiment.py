"""From a config to the parts of an experiment: the parts themselves take plain arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.mixup import mix_images
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import Predictor, make_view_predictor
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import check_batch_divides, make_mesh, replicated
from alexnet_jax.parallel.multihost import check_cluster
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.parallel.sharding_rules import check_layout
from alexnet_jax.training import from_config
from alexnet_jax.training.accumulation import count_microbatches
from alexnet_jax.training.averaging import update_average
from alexnet_jax.training.loss import cross_entropy, smoothed_cross_entropy
from alexnet_jax.training.schedule import update_plateau
from alexnet_jax.training.state import TrainState, abstract_state, create_state
from alexnet_jax.training.step import TrainStep, describe_batch, make_train_step


@dataclass(frozen=True)
class Network:
    """A network and its optimizer."""

    model: AlexNet
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule  # The learning rate by completed steps.
    preprocessing: Preprocessing
    crop_size: int
    abstract_state: TrainState  # Shapes, dtypes and shardings.
    # (variables, images uint8 [B, S, S, 3], number of the view) -> probabilities.
    predict_view: Callable[[Any, jax.Array, int], jax.Array]

    def predictor(self, state: TrainState) -> Predictor:
        """Return (images, number of the view) -> probabilities, with the parameters of `state`."""
        return Predictor(partial(self.predict_view, state.variables), self.crop_size)


@dataclass(frozen=True)
class Experiment:
    """Everything in a run that does not depend on the input pipeline."""

    config: ConfigDict  # Resolved.
    mesh: Mesh
    network: Network
    durations: from_config.Durations
    augmentation: Augmentation
    num_microbatches: int  # In a batch.
    train_step: TrainStep
    create_state: Callable[[], TrainState]
    update_plateau: Callable[[TrainState, float], TrainState]  # Takes the validation error.

    def lower_step(self) -> jax.stages.Lowered:
        """Trace the training step for the shapes of its state and batch."""
        size, side = self.config.train.batch_size, self.config.data.image_size
        batch = describe_batch(size, side, self.mesh)
        return self.train_step.lower(self.network.abstract_state, batch)


def build_without_data(
    config: ConfigDict, devices: Sequence[jax.Device] | None = None
) -> Experiment:
    """Set up JAX and build an experiment with made-up statistics, for measurements of its speed.

    Args:
        config: Config of the run, see docs/config.md.
        devices: Devices to build for, which need not exist; by default JAX's.
    """
    config = from_config.resolve_config(config)
    size = config.data.image_size
    gray = np.full((size, size, 3), 128, np.float32)
    statistics = Statistics(gray, np.eye(3, dtype=np.float32), np.ones(3, np.float32), count=1)
    preprocessing = from_config.make_preprocessing(config.data.normalization, gray)
    mesh, examples = set_up(config, devices), 1000 * config.train.batch_size
    return make_experiment(config, mesh, statistics, examples, preprocessing)


def set_up(config: ConfigDict, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Set up JAX and arrange the devices; UserError if the config does not fit them."""
    from_config.check_names(config)
    configure_jax(config.train.deterministic)
    parallel = config.parallel
    check_cluster(parallel.processes, parallel.devices)
    mesh = make_mesh(parallel.layout, parallel.model_axis, devices)
    check_layout(mesh, from_config.make_model(config).spec)
    check_batch_divides(config.train.batch_size, mesh.size, "config.train.batch_size")
    return mesh


def make_experiment(
    config: ConfigDict,
    mesh: Mesh,
    statistics: Statistics,
    examples: int,
    preprocessing: Preprocessing,
) -> Experiment:
    """Build the network and its training step; UserError if parts of the config do not fit.

    The config comes from `resolve_config`, the mesh from `set_up`; `statistics` and `examples`,
    their number, are of the training images.
    """
    durations = from_config.resolve_durations(config, examples)
    network = make_network(config, preprocessing, mesh, durations)
    augmentation = from_config.make_augmentation(config, preprocessing, statistics, durations)
    model, optimizer, train = network.model, network.optimizer, config.train
    smooth, mixup, decay = train.label_smoothing, config.augment.mixup, train.ema_decay
    loss = partial(smoothed_cross_entropy, label_smoothing=smooth) if smooth else cross_entropy
    num_microbatches = count_microbatches(
        train.batch_size, train.microbatch_size, mesh.size, model.spec
    )
    train_step = make_train_step(
        model,
        optimizer,
        network.schedule,
        augmentation,
        train.seed,
        mesh,
        described=network.abstract_state,
        plateau_factor=config.schedule.factor,
        num_microbatches=num_microbatches,
        loss=loss,
        mix=partial(mix_images, mixup=mixup) if mixup else None,
        update_average=partial(update_average, ema_decay=decay) if decay else None,
    )
    crop_size, schedule = config.data.crop_size, config.schedule

    def count_plateau(state: TrainState, error: float) -> TrainState:
        if schedule.name != "plateau":
            return state
        limits = (schedule.patience, schedule.threshold, schedule.drops)
        plateau = update_plateau(state.plateau, int(state.step), error, *limits)
        return replace(state, plateau=jax.device_put(plateau, replicated(mesh)))

    return Experiment(
        config=config,
        mesh=mesh,
        network=network,
        durations=durations,
        augmentation=augmentation,
        num_microbatches=num_microbatches,
        train_step=train_step,
        create_state=partial(
            create_state, model, optimizer, crop_size, train.seed, mesh, network.abstract_state
        ),
        update_plateau=count_plateau,
    )


def make_network(
    config: ConfigDict, preprocessing: Preprocessing, mesh: Mesh, durations: from_config.Durations
) -> Network:
    """Build the network of a resolved config; UserError if the crop is too small for it."""
    model, crop_size = from_config.make_model(config), config.data.crop_size
    rates = from_config.make_rates(config, durations)
    optimizer = from_config.make_optimizer(config, rates)
    try:
        state = abstract_state(model, optimizer, crop_size, mesh, bool(config.train.ema_decay))
    except ValueError as error:
        raise UserError(
            f"model {config.model.name!r} cannot take crops of {crop_size} pixels; it is made for "
            f"{model.spec.crop_size} ({error})"
        ) from error
    predict_view = make_view_predictor(model, preprocessing, crop_size, mesh)
    return Network(model, optimizer, rates.kernels, preprocessing, crop_size, state, predict_view)
