"""From a config to a network and the step that trains it.

Of the data it takes their statistics and their number, so it can be had before they are there. With
assembly.py and recipe.py the one room that reads config values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.parallel.distributed import check_cluster
from alexnet_jax.parallel.mesh import check_batch_divides, make_mesh
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.parallel.sharding_rules import check_layout
from alexnet_jax.training.accumulation import count_microbatches
from alexnet_jax.training.network import Network, make_model, make_network
from alexnet_jax.training.recipe import (
    Durations,
    check_names,
    make_augmentation,
    make_optimizer,
    make_preprocessing,
    make_schedule,
    resolve_durations,
)
from alexnet_jax.training.state import TrainState, create_state
from alexnet_jax.training.step import TrainStep, make_train_step


@dataclass(frozen=True)
class Learner:
    """What of a run does not read images."""

    mesh: Mesh
    network: Network
    durations: Durations
    schedule: optax.Schedule
    preprocessing: Preprocessing
    augmentation: Augmentation
    train_step: TrainStep
    create_state: Callable[[], TrainState]


def set_up(config: ConfigDict) -> Mesh:
    """Set JAX up and arrange the devices.

    Args:
        config: from `resolve_config`.

    Raises:
        UserError: the config holds something that cannot be on these devices.
    """
    check_names(config)
    configure_jax(config.train.deterministic)
    check_cluster(config.parallel.processes, config.parallel.devices)
    mesh = make_mesh(config.parallel.layout, config.parallel.model_axis)
    check_layout(mesh, make_model(config).spec)
    check_batch_divides(config.train.batch_size, mesh.size, "config.train.batch_size")
    return mesh


def make_learner(
    config: ConfigDict,
    mesh: Mesh,
    statistics: Statistics,
    examples: int,
    preprocessing: Preprocessing | None = None,
) -> Learner:
    """Build the network and its step.

    Args:
        config: from `resolve_config`.
        mesh: from `set_up`.
        statistics: of the training split.
        examples: how many it has.
        preprocessing: of a network to begin with; None: from the statistics.

    Raises:
        UserError: parts of the config do not go together.
    """
    durations = resolve_durations(config, examples)
    schedule = make_schedule(config, durations)
    preprocessing = preprocessing or make_preprocessing(config, statistics)
    optimizer = make_optimizer(config, schedule, durations)
    network = make_network(config, preprocessing, mesh)
    augmentation = make_augmentation(config, preprocessing, statistics, durations)
    batch_size, seed, model = config.train.batch_size, config.train.seed, network.model
    parts = count_microbatches(batch_size, config.train.microbatch_size, mesh.size, model.spec)
    return Learner(
        mesh=mesh,
        network=network,
        durations=durations,
        schedule=jax.jit(schedule),  # For the host: one small program, not one an operation.
        preprocessing=preprocessing,
        augmentation=augmentation,
        train_step=make_train_step(
            model, optimizer, augmentation, seed, mesh, config.schedule.factor, parts
        ),
        create_state=partial(create_state, model, optimizer, config.data.crop_size, seed, mesh),
    )
