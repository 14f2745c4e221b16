"""A run's step without the run's data, and what the data are if they are there.

What a step costs does not depend on the pixels, so it can be tried before anything is prepared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store import PixelStore
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.data.stream import TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.training.assembly import assemble, open_split
from alexnet_jax.training.learner import Learner, make_learner, set_up
from alexnet_jax.training.recipe import resolve_config


@dataclass(frozen=True)
class DryRun:
    """A step that can be tried on made-up pixels.

    Attributes:
        name: the network's, with its changes, and its crops where they are not its table's.
        learner: as the run's, but for the mean image, the colours and the length.
        dtype: of the network's products.
        batch_size: images a step.
        batch_unit: what the number of images must be a multiple of, for devices and microbatches.
        image_size: side of the images that the step takes.
        crop_size: side of what the network sees.
    """

    name: str
    learner: Learner
    dtype: str
    batch_size: int
    batch_unit: int
    image_size: int
    crop_size: int


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Attributes:
        name: of the data set.
        data_dir: where data sets lie.
        source: "records", "store" or "device".
        threads: how many prepare batches.
        batches: the run's batches.
        validation_examples: how many images every test reads.
        opened: the training split as it lies on disk.
        files: its files, in the order of the examples.
    """

    name: str
    data_dir: str
    source: str
    threads: int
    batches: TrainingBatches
    validation_examples: int
    opened: DecodedImages | PixelStore
    files: list[Path]


def make_dry_run(config: ConfigDict) -> DryRun:
    """Build the step that `config` describes, for statistics that are made up.

    Raises:
        UserError: the config holds something that cannot be, whatever the data.
    """
    config = resolve_config(config)
    mesh = set_up(config)
    size, batch_size = config.data.image_size, config.train.batch_size
    grey = Statistics(
        mean_image=np.full((size, size, 3), 128, np.float32),
        pca_eigenvectors=np.eye(3, dtype=np.float32),
        pca_std=np.ones(3, np.float32),
        count=1,
    )
    name, learner = config.model.name, make_learner(config, mesh, grey, 1000 * batch_size)
    if config.model.modifications:
        name += f" with {', '.join(config.model.modifications)}"
    if config.data.crop_size != learner.network.model.spec.crop_size:
        name += f" on crops of {config.data.crop_size}"
    return DryRun(
        name=name,
        learner=learner,
        dtype=config.model.dtype,
        batch_size=batch_size,
        batch_unit=mesh.size * (batch_size // (config.train.microbatch_size or batch_size)),
        image_size=size,
        crop_size=config.data.crop_size,
    )


def open_run_data(config: ConfigDict) -> RunData | str:
    """Open the data of a config that `make_dry_run` has taken; else say what is missing."""
    data = config.data
    try:
        run = assemble(config)
        opened = open_split(config, "train")
        if isinstance(opened, DecodedImages):
            files = sorted(opened.directory.glob("*-train.array_record-*"))
        else:
            shards = opened.manifest.splits["train"].shards
            files = [opened.directory / shard.name for shard in shards]
    except UserError as error:
        return str(error)
    return RunData(
        name=data.name,
        data_dir=data.dir,
        source=data.source,
        threads=run.threads,
        batches=run.training,
        validation_examples=run.validation.count,
        opened=opened,
        files=files,
    )
