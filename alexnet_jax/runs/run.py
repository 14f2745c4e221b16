"""A run: an experiment, its data, and what it starts from."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.image_source import DecodedImages, ImageSource
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.pixel_store.statistics_file import add_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import load_statistics, statistics_directory
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.device_store.device_cache import DeviceCache
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import check_batch_divides
from alexnet_jax.parallel.multihost import broadcast_from_process_0, check_same_on_all_processes
from alexnet_jax.runs.data_facts import DataFacts, find_facts, has_facts, keep_facts
from alexnet_jax.runs.fine_tuning import Pretrained
from alexnet_jax.runs.saved_config import must_be_same
from alexnet_jax.system.cores import usable_cores
from alexnet_jax.training import from_config
from alexnet_jax.training.experiment import Experiment, make_experiment, set_up


@dataclass(frozen=True)
class Run:
    """An experiment and its data."""

    experiment: Experiment
    training: TrainingBatches
    validation: EvaluationBatches
    threads: int  # That prepare batches.
    facts: DataFacts
    data_changes: list[str]  # Since the run started, in words.
    pretrained: Pretrained | None  # What fine-tuning starts from.


def build_run(config: ConfigDict, workdir: Path | None = None) -> Run:
    """Set up JAX and build all parts of a run.

    Args:
        config: Config of the run, see docs/config.md.
        workdir: Folder of the run. A run that has started keeps its preprocessing, class names and
            colors; `data_changes` says how the data now differ.

    Raises:
        UserError: a config value is not possible, or the data are missing.
    """
    config = from_config.resolve_config(config)
    mesh = set_up(config)
    images = open_split(config, "train")
    check_same_on_all_processes(must_be_same(config) | {"training examples": len(images)})
    broadcast_from_process_0(partial(add_statistics, images, Path(config.data.dir), workdir))
    directory = statistics_directory(images, workdir)
    statistics = load_statistics(directory, config.data.image_size, count=len(images))
    train = config.train
    pretrained = (
        Pretrained(train.init_from, train.init_checkpoint, config.data.image_size, mesh)
        if train.init_from is not None
        else None
    )
    changes: list[str] = []
    mean_image = statistics.mean_image
    preprocessing = from_config.make_preprocessing(config.data.normalization, mean_image)
    facts = find_facts(images, statistics, preprocessing)
    if workdir is not None and has_facts(workdir):
        facts, changes = keep_facts(workdir, facts, config.data.image_size)
    elif pretrained:
        facts = replace(facts, preprocessing=pretrained.trained.network.preprocessing)
    colors = replace(statistics, pca_eigenvectors=facts.pca_eigenvectors, pca_std=facts.pca_std)
    experiment = make_experiment(config, mesh, colors, facts.examples, facts.preprocessing)
    if pretrained:
        experiment = replace(experiment, create_state=partial(pretrained.start, experiment))
    return Run(
        experiment=experiment,
        training=TrainingBatches(
            _place(images, config.data.source, mesh),
            train.batch_size,
            train.seed,
            experiment.durations.total,
        ),
        validation=make_evaluation_batches(config, mesh),
        threads=config.data.threads or usable_cores(),
        facts=facts,
        data_changes=changes,
        pretrained=pretrained,
    )


def open_split(config: ConfigDict, split: str) -> DecodedImages | PixelStore:
    """Open a split; UserError if the data set has another number of classes than the model."""
    data, num_classes = config.data, config.model.num_classes
    images: DecodedImages | PixelStore
    if data.source == "records":
        records = Records(data.dir, data.name, split)
        images = DecodedImages(records, data.image_size, data.max_megapixels)
    else:
        images = PixelStore(data.dir, data.name, split, data.image_size)
    if images.num_classes != num_classes:
        raise UserError(
            f"{data.name} has {images.num_classes} classes, the model {num_classes}: give "
            f"--config.model.num_classes={images.num_classes}"
        )
    return images


def make_evaluation_batches(
    config: ConfigDict, mesh: Mesh, split: str = "validation"
) -> EvaluationBatches:
    """Return the batches of an evaluation on a split."""
    check_batch_divides(config.eval.batch_size, mesh.size, "config.eval.batch_size")
    images = _place(open_split(config, split), config.data.source, mesh)
    return EvaluationBatches(images, config.eval.batch_size)


def _place(images: ImageSource, source: str, mesh: Mesh) -> ImageSource:
    return DeviceCache(images, mesh) if source == "device" else images
