"""From a config to the parts of a run; with learner.py and recipe.py the one room that reads it.

The parts take plain arguments and know nothing of configs.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.pixels import DecodedRecords, Pixels
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.data.store import Store
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.agreement import check_same_everywhere
from alexnet_jax.parallel.distributed import Timeouts
from alexnet_jax.parallel.mesh import check_batch_divides, replicated
from alexnet_jax.parallel.resident import ResidentPixels
from alexnet_jax.training.configuration import must_be_same
from alexnet_jax.training.finetuning import take_over
from alexnet_jax.training.learner import Learner, make_learner, set_up
from alexnet_jax.training.plateau import count_test
from alexnet_jax.training.recipe import make_spec, resolve_config
from alexnet_jax.training.state import TrainState
from alexnet_jax.training.trained import Trained, load_trained


@dataclass(frozen=True)
class Run(Learner):
    """The parts of a training run."""

    training: TrainingBatches
    validation: EvaluationBatches
    threads: int
    count_test: Callable[[TrainState, float], TrainState]
    class_names: list[str]


def assemble(config: ConfigDict) -> Run:
    """Set JAX up and build the parts of a run.

    Raises:
        UserError: the config holds something that cannot be, or asks for data that is not there.
    """
    config = resolve_config(config)
    mesh = set_up(config)
    pixels = open_split(config, "train")
    check_same_everywhere(must_be_same(config) | {"training examples": len(pixels)})
    statistics = load_statistics(pixels.directory, config.data.image_size, count=len(pixels))
    source = load_source(config, mesh)
    preprocessing = source.preprocessing if source else None
    learner = make_learner(config, mesh, statistics, len(pixels), preprocessing)
    batch_size, steps = config.train.batch_size, learner.durations.total
    return Run(
        **vars(learner) | {"create_state": make_creator(config, learner.create_state, source)},
        training=TrainingBatches(place(config, pixels, mesh), batch_size, config.train.seed, steps),
        validation=make_validation(config, mesh),
        threads=host_threads(config),
        count_test=make_test_counter(config, mesh),
        class_names=pixels.class_names,
    )


def make_timeouts(config: ConfigDict) -> Timeouts:
    """Return how long the processes of a cluster wait for each other."""
    parallel = config.parallel
    return Timeouts(
        initialization=parallel.initialization_timeout,
        heartbeat=parallel.heartbeat_timeout,
        shutdown=parallel.shutdown_timeout,
    )


def open_split(config: ConfigDict, split: str) -> Pixels:
    """Open a split's images; UserError where their classes are not the model's.

    They are decoded from records, or read from the pixel store.
    """
    data = config.data
    pixels: DecodedRecords | Store
    if data.source == "records":
        pixels = DecodedRecords(Records(data.dir, data.name, split), data.image_size)
    else:
        pixels = Store(data.dir, data.name, split, data.image_size)
    if pixels.num_classes != config.model.num_classes:
        raise UserError(
            f"{data.name} has {pixels.num_classes} classes, the model "
            f"{config.model.num_classes}: give --config.model.num_classes={pixels.num_classes}"
        )
    return pixels


def place(config: ConfigDict, pixels: Pixels, mesh: Mesh) -> Pixels:
    """Put a split's images onto the devices if the config wants them there."""
    return ResidentPixels(pixels, mesh) if config.data.source == "device" else pixels


def make_validation(config: ConfigDict, mesh: Mesh) -> EvaluationBatches:
    """Return the batches that every test reads."""
    check_batch_divides(config.eval.batch_size, mesh.size, "config.eval.batch_size")
    pixels = place(config, open_split(config, "validation"), mesh)
    return EvaluationBatches(pixels, config.eval.batch_size)


def load_source(config: ConfigDict, mesh: Mesh) -> Trained | None:
    """Return the network that this run begins with, if any; its preprocessing comes with it."""
    workdir, size = config.train.init_from, config.data.image_size
    if workdir is None:
        return None
    source = load_trained(Path(workdir), mesh, config.train.init_checkpoint)
    if source.config.data.image_size != size:
        raise UserError(
            f"{workdir} was trained on images of {source.config.data.image_size} pixels, not "
            f"{size}: its mean image does not fit; give --config.data.image_size"
        )
    return source


def make_creator(
    config: ConfigDict, create: Callable[[], TrainState], source: Trained | None
) -> Callable[[], TrainState]:
    """Return what makes the first state: `create`, and the parameters of `source` if any."""
    if source is None:
        return create

    def create_from_source() -> TrainState:
        state = create()
        output = make_spec(config).output_name
        params = take_over(source.params, state.params, output, config.train.init_from)
        return replace(state, params=params, batch_stats=source.batch_stats)

    return create_from_source


def make_test_counter(config: ConfigDict, mesh: Mesh) -> Callable[[TrainState, float], TrainState]:
    """Return what a test's error changes in the state: with the plateau schedule, the rate."""
    schedule = config.schedule
    if schedule.name != "plateau":
        return lambda state, error: state

    def count(state: TrainState, error: float) -> TrainState:
        plateau = count_test(
            state.plateau,
            int(state.step),
            error,
            schedule.patience,
            schedule.threshold,
            schedule.drops,
        )
        return replace(state, plateau=jax.device_put(plateau, replicated(mesh)))

    return count


def host_threads(config: ConfigDict) -> int:
    """Return how many threads prepare batches: one a core unless the config says otherwise."""
    return config.data.threads or os.cpu_count() or 1
