"""From a config to the parts of a run: here, in recipe.py and in network.py.

The parts take plain arguments. What else needs the config reads it from `Experiment`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.config.saved import must_be_same
from alexnet_jax.cores import usable_cores
from alexnet_jax.data.augment import Augmentation
from alexnet_jax.data.image_source import DecodedImages, ImageSource
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import (
    Statistics,
    add_statistics,
    load_statistics,
    statistics_directory,
)
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.device_cache import DeviceCache
from alexnet_jax.parallel.distributed import check_cluster
from alexnet_jax.parallel.mesh import check_batch_divides, make_mesh, replicated
from alexnet_jax.parallel.multihost import broadcast_from_process_0, check_same_on_all_processes
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.parallel.sharding_rules import check_layout
from alexnet_jax.training import recipe
from alexnet_jax.training.accumulation import count_microbatches
from alexnet_jax.training.data_facts import (
    DataFacts,
    check_image_size,
    find_facts,
    has_facts,
    keep_facts,
)
from alexnet_jax.training.network import (
    Network,
    TrainedNetwork,
    describe_pretrained,
    load_pretrained,
    load_trained,
    make_network,
)
from alexnet_jax.training.schedule import update_plateau
from alexnet_jax.training.state import TrainState, create_state, start_average
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


@dataclass(frozen=True)
class Run:
    """An experiment and its data."""

    experiment: Experiment
    training: TrainingBatches
    validation: EvaluationBatches
    threads: int  # That prepare batches.
    facts: DataFacts
    data_changes: list[str]  # Since the run started, in words.
    describe_source: Callable[[], str]  # The parameters that fine-tuning starts from; "" without.


def build_run(config: ConfigDict, workdir: Path | None = None) -> Run:
    """Set up JAX and build all parts of a run.

    Args:
        config: see docs/config.md.
        workdir: of the run. A run that has started keeps its preprocessing, class names and
            colours; `data_changes` says how the data now differ.

    Raises:
        UserError: a config value is not possible, or the data are missing.
    """
    config = recipe.resolve_config(config)
    mesh = set_up(config)
    images = open_split(config, "train")
    check_same_on_all_processes(must_be_same(config) | {"training examples": len(images)})
    broadcast_from_process_0(partial(add_statistics, images, Path(config.data.dir), workdir))
    directory = statistics_directory(images, workdir)
    statistics = load_statistics(directory, config.data.image_size, count=len(images))
    load_source = cache(lambda: _load_source(config, mesh))
    changes: list[str] = []
    facts = find_facts(images, statistics, recipe.make_preprocessing(config, statistics))
    if workdir is not None and has_facts(workdir):
        facts, changes = keep_facts(workdir, facts, config.data.image_size)
    elif source := load_source():
        facts = replace(facts, preprocessing=source.network.preprocessing)
    colors = replace(statistics, pca_eigenvectors=facts.pca_eigenvectors, pca_std=facts.pca_std)
    experiment = make_experiment(config, mesh, colors, facts.examples, facts.preprocessing)
    create_state = experiment.create_state
    experiment = replace(
        experiment, create_state=lambda: _start_from(load_source(), create_state(), config)
    )
    return Run(
        experiment=experiment,
        training=TrainingBatches(
            _place(config, images, mesh),
            config.train.batch_size,
            config.train.seed,
            experiment.durations.total,
        ),
        validation=make_evaluation_batches(config, mesh),
        threads=host_threads(config),
        facts=facts,
        data_changes=changes,
        describe_source=lambda: _describe_source(load_source(), experiment),
    )


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
    images = _place(config, open_split(config, split), mesh)
    return EvaluationBatches(images, config.eval.batch_size)


def host_threads(config: ConfigDict) -> int:
    """Return the number of threads that prepare batches, by default one per usable core."""
    return config.data.threads or usable_cores()


def _place(config: ConfigDict, images: ImageSource, mesh: Mesh) -> ImageSource:
    return DeviceCache(images, mesh) if config.data.source == "device" else images


def _load_source(config: ConfigDict, mesh: Mesh) -> TrainedNetwork | None:
    """Load the network whose parameters fine-tuning starts from; None without one."""
    workdir = config.train.init_from
    if workdir is None:
        return None
    source = load_trained(Path(workdir), mesh, config.train.init_checkpoint)
    check_image_size(source.network.preprocessing, config.data.image_size, workdir)
    return source


def _start_from(source: TrainedNetwork | None, fresh: TrainState, config: ConfigDict) -> TrainState:
    """Return a fresh state with the parameters of `source`, if there is one."""
    if source is None:
        return fresh
    output, name = recipe.make_spec(config).output_name, config.train.init_from
    trained = source.state.variables
    params = load_pretrained(trained["params"], fresh.params, output, name)
    average = start_average(params, trained["batch_stats"]) if fresh.average else {}
    return replace(fresh, params=params, batch_stats=trained["batch_stats"], average=average)


def _describe_source(source: TrainedNetwork | None, experiment: Experiment) -> str:
    if source is None:
        return ""
    fresh = experiment.network.abstract_state.params
    return describe_pretrained(source.state, fresh, experiment.config.train.init_from)
