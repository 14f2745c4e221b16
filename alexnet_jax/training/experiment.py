"""From a config to the parts of a run: here, in recipe.py and in network.py.

The parts take plain arguments. What else needs the config reads it from `Experiment`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.statistics import (
    Statistics,
)
from alexnet_jax.parallel.mesh import check_batch_divides, make_mesh, replicated
from alexnet_jax.parallel.multihost import check_cluster
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.parallel.sharding_rules import check_layout
from alexnet_jax.training import recipe
from alexnet_jax.training.accumulation import count_microbatches
from alexnet_jax.training.network import (
    Network,
    make_network,
)
from alexnet_jax.training.schedule import update_plateau
from alexnet_jax.training.state import TrainState, create_state
from alexnet_jax.training.step import TrainStep, make_train_step


@dataclass(frozen=True)
class Experiment:
    """Everything in a run that does not depend on the input pipeline."""

    config: ConfigDict  # Resolved.
    mesh: Mesh
    network: Network
    durations: recipe.Durations
    augmentation: Augmentation
    num_microbatches: int  # In a batch.
    train_step: TrainStep
    create_state: Callable[[], TrainState]
    update_plateau: Callable[[TrainState, float], TrainState]  # Takes the validation error.


def build_without_data(
    config: ConfigDict, devices: Sequence[jax.Device] | None = None
) -> Experiment:
    """Set up JAX and build an experiment with made-up statistics, for measurements of its speed.

    Args:
        config: see docs/config.md.
        devices: that it is for, which need not exist; by default JAX's.
    """
    config = recipe.resolve_config(config)
    size = config.data.image_size
    grey = np.full((size, size, 3), 128, np.float32)
    statistics = Statistics(grey, np.eye(3, dtype=np.float32), np.ones(3, np.float32), count=1)
    mesh, examples = set_up(config, devices), 1000 * config.train.batch_size
    return make_experiment(
        config, mesh, statistics, examples, recipe.make_preprocessing(config, statistics)
    )


def set_up(config: ConfigDict, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Set up JAX and arrange the devices; UserError if the config does not fit them."""
    recipe.check_names(config)
    configure_jax(config.train.deterministic)
    check_cluster(config.parallel.processes, config.parallel.devices)
    mesh = make_mesh(config.parallel.layout, config.parallel.model_axis, devices)
    check_layout(mesh, recipe.make_model(config).spec)
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

    Args:
        config: from `resolve_config`.
        mesh: from `set_up`.
        statistics: of the training images.
        examples: number of training images.
        preprocessing: of the network's input.
    """
    durations = recipe.resolve_durations(config, examples)
    network = make_network(config, preprocessing, mesh, durations)
    augmentation = recipe.make_augmentation(config, preprocessing, statistics, durations)
    model, optimizer, train = network.model, network.optimizer, config.train
    num_microbatches = count_microbatches(
        train.batch_size, train.microbatch_size, mesh.size, model.spec
    )
    return Experiment(
        config=config,
        mesh=mesh,
        network=network,
        durations=durations,
        augmentation=augmentation,
        num_microbatches=num_microbatches,
        train_step=make_train_step(
            model,
            optimizer,
            network.schedule,
            augmentation,
            train.seed,
            mesh,
            config.schedule.factor,
            num_microbatches,
            recipe.make_loss(config),
            recipe.make_mix(config),
            recipe.make_average(config),
        ),
        create_state=partial(
            create_state,
            model,
            optimizer,
            config.data.crop_size,
            train.seed,
            mesh,
            recipe.is_averaged(config),
        ),
        update_plateau=partial(_update_plateau, config.schedule, mesh),
    )


def _update_plateau(
    schedule: ConfigDict, mesh: Mesh, state: TrainState, error: float
) -> TrainState:
    """Return the state after an evaluation; only the plateau schedule changes it."""
    if schedule.name != "plateau":
        return state
    limits = (schedule.patience, schedule.threshold, schedule.drops)
    plateau = update_plateau(state.plateau, int(state.step), error, *limits)
    return replace(state, plateau=jax.device_put(plateau, replicated(mesh)))
