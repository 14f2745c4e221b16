"""A run's step without the run's data, and what the data are if they are there.

What a step costs does not depend on the pixels, so it can be tried before anything is prepared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.data.stream import TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import check_batch_divides, make_data_mesh
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.training.assembly import assemble, host_threads
from alexnet_jax.training.configuration import check_config
from alexnet_jax.training.network import make_network
from alexnet_jax.training.recipe import (
    make_augmentation,
    make_optimizer,
    make_preprocessing,
    make_schedule,
    resolve_durations,
)
from alexnet_jax.training.state import TrainState, create_state
from alexnet_jax.training.step import TrainStep, make_train_step


@dataclass(frozen=True)
class Rehearsal:
    """A step that can be tried on made-up pixels.

    Attributes:
        name: the network's, with its changes.
        model: the linen module.
        dtype: of its products.
        mesh: the devices.
        augmentation: as in the run, but for the mean image and the colours.
        train_step: (state, batch) -> (state, metrics).
        create_state: draws the first state.
        batch_size: images a step.
        image_size: side of the images that the step takes.
        crop_size: side of what the network sees.
        learning_rate: of the first step.
    """

    name: str
    model: AlexNet
    dtype: str
    mesh: Mesh
    augmentation: Augmentation
    train_step: TrainStep
    create_state: Callable[[], TrainState]
    batch_size: int
    image_size: int
    crop_size: int
    learning_rate: float


@dataclass(frozen=True)
class Material:
    """The data of a run.

    Attributes:
        name: of the data set.
        data_dir: where data sets lie.
        source: "records", "store" or "device".
        threads: how many prepare batches.
        steps: length of the run.
        batches: the run's batches.
        records: what they are read from.
    """

    name: str
    data_dir: str
    source: str
    threads: int
    steps: int
    batches: TrainingBatches
    records: Records


def rehearse(config: ConfigDict) -> Rehearsal:
    """Build the step that `config` describes, for statistics that are made up.

    Raises:
        UserError: the config holds something that cannot be, whatever the data.
    """
    check_config(config)
    configure_jax(config.train.deterministic)
    mesh = make_data_mesh()
    batch_size, size = config.train.batch_size, config.data.image_size
    check_batch_divides(batch_size, mesh.size, "config.train.batch_size")
    grey = Statistics(
        mean_image=np.full((size, size, 3), 128, np.float32),
        color_axes=np.eye(3, dtype=np.float32),
        color_std=np.ones(3, np.float32),
        count=1,
    )
    preprocessing = make_preprocessing(config, grey)
    durations = resolve_durations(config, examples=batch_size)
    schedule = make_schedule(config, durations)
    optimizer = make_optimizer(config, schedule, durations)
    augmentation = make_augmentation(config, preprocessing, grey, durations)
    model, seed = make_network(config, preprocessing, mesh).model, config.train.seed
    changes = f" with {', '.join(config.model.changes)}" if config.model.changes else ""
    return Rehearsal(
        name=config.model.name + changes,
        model=model,
        dtype=config.model.dtype,
        mesh=mesh,
        augmentation=augmentation,
        train_step=make_train_step(
            model, optimizer, augmentation, seed, mesh, config.schedule.factor
        ),
        create_state=partial(create_state, model, optimizer, config.data.crop_size, seed, mesh),
        batch_size=batch_size,
        image_size=size,
        crop_size=config.data.crop_size,
        learning_rate=config.schedule.learning_rate,
    )


def find_material(config: ConfigDict) -> Material | str:
    """Open the data of a config that `rehearse` has taken; else say what is missing."""
    try:
        run = assemble(config)
        records = Records(config.data.dir, config.data.name, "train")
    except UserError as error:
        return str(error)
    return Material(
        name=config.data.name,
        data_dir=config.data.dir,
        source=config.data.source,
        threads=host_threads(config),
        steps=run.durations.total,
        batches=run.training,
        records=records,
    )
