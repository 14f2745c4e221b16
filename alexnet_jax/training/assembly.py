"""From a config to the parts of a run; with learner.py and recipe.py the one room that reads it.

The parts take plain arguments and know nothing of configs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.config.saved import must_be_same
from alexnet_jax.cores import usable_cores
from alexnet_jax.data.pixels import DecodedRecords, Pixels
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import (
    Statistics,
    add_statistics,
    load_statistics,
    statistics_directory,
)
from alexnet_jax.data.store import Store
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.agreement import check_same_everywhere, from_first
from alexnet_jax.parallel.distributed import Timeouts
from alexnet_jax.parallel.mesh import check_batch_divides, replicated
from alexnet_jax.parallel.resident import ResidentPixels
from alexnet_jax.training.data_facts import (
    DataFacts,
    describe_changes,
    find_facts,
    has_facts,
    load_facts,
)
from alexnet_jax.training.finetuning import take_over
from alexnet_jax.training.learner import Learner, make_learner, set_up
from alexnet_jax.training.plateau import count_test
from alexnet_jax.training.recipe import make_preprocessing, make_spec, resolve_config
from alexnet_jax.training.state import TrainState
from alexnet_jax.training.trained import Trained, load_trained


@dataclass(frozen=True)
class Run(Learner):
    """The parts of a training run.

    Attributes:
        data: what the run stands on.
        data_changes: in what the data differ from those that the run began with.
    """

    training: TrainingBatches
    validation: EvaluationBatches
    threads: int
    count_test: Callable[[TrainState, float], TrainState]
    data: DataFacts
    data_changes: list[str]


def assemble(config: ConfigDict, workdir: Path | None = None) -> Run:
    """Set JAX up and build the parts of a run.

    Args:
        config: see configs/imagenet.py.
        workdir: of the run. If it has begun, its preprocessing, class names and colours are those
            that it began with; what the data say otherwise is in `data_changes`.

    Raises:
        UserError: the config holds something that cannot be, or asks for data that is not there.
    """
    config = resolve_config(config)
    mesh = set_up(config)
    pixels = open_split(config, "train")
    check_same_everywhere(must_be_same(config) | {"training examples": len(pixels)})
    statistics = find_statistics(config, pixels, workdir)
    load_begin = cache(partial(load_source, config, mesh))
    data, changes = find_data(config, pixels, statistics, load_begin, workdir)
    colors = replace(statistics, color_axes=data.color_axes, color_std=data.color_std)
    learner = make_learner(config, mesh, colors, data.examples, data.preprocessing)
    batch_size, steps = config.train.batch_size, learner.durations.total
    return Run(
        **vars(learner) | {"create_state": make_creator(config, learner.create_state, load_begin)},
        training=TrainingBatches(place(config, pixels, mesh), batch_size, config.train.seed, steps),
        validation=make_validation(config, mesh),
        threads=host_threads(config),
        count_test=make_test_counter(config, mesh),
        data=data,
        data_changes=changes,
    )


def find_statistics(config: ConfigDict, pixels: Pixels, workdir: Path | None) -> Statistics:
    """Return the training split's statistics; where they are missing the first process adds them.

    UserError, with the command that makes them, where a host has a copy of the data without them.
    """
    size = config.data.image_size
    from_first(partial(add_statistics, pixels, Path(config.data.dir), workdir))
    return load_statistics(statistics_directory(pixels, workdir), size, count=len(pixels))


def find_data(
    config: ConfigDict,
    pixels: Pixels,
    statistics: Statistics,
    load_begin: Callable[[], Trained | None],
    workdir: Path | None,
) -> tuple[DataFacts, list[str]]:
    """Return what the run stands on, and in what the data differ from it.

    Where they differ, the run may only go on with the data as they are: their number and colours,
    but its own preprocessing and class names, which belong to its parameters.
    """
    found = find_facts(pixels, statistics, make_preprocessing(config, statistics))
    if workdir is not None and has_facts(workdir):
        kept = load_facts(workdir, found)
        check_size(kept.preprocessing, config.data.image_size, str(workdir))
        own = replace(found, preprocessing=kept.preprocessing, class_names=kept.class_names)
        changes = describe_changes(kept, found)
        kept = replace(kept, fingerprint=kept.fingerprint or found.fingerprint)
        return (own if changes else kept), changes
    begin = load_begin()
    return (replace(found, preprocessing=begin.preprocessing) if begin else found), []


def make_timeouts(config: ConfigDict) -> Timeouts:
    """Return how long the processes of a cluster wait for each other."""
    parallel = config.parallel
    return Timeouts(
        initialization=parallel.initialization_timeout,
        heartbeat=parallel.heartbeat_timeout,
        shutdown=parallel.shutdown_timeout,
    )


def open_split(config: ConfigDict, split: str) -> DecodedRecords | Store:
    """Open a split's images; UserError where their classes are not the model's.

    They are decoded from records, or read from the pixel store.
    """
    data = config.data
    pixels: DecodedRecords | Store
    if data.source == "records":
        records = Records(data.dir, data.name, split)
        pixels = DecodedRecords(records, data.image_size, data.max_megapixels)
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
    workdir = config.train.init_from
    if workdir is None:
        return None
    source = load_trained(Path(workdir), mesh, config.train.init_checkpoint)
    check_size(source.preprocessing, config.data.image_size, workdir)
    return source


def check_size(preprocessing: Preprocessing, image_size: int, workdir: str) -> None:
    """Raise UserError where the mean image of `workdir` is of another size than the images."""
    size = len(preprocessing.mean)
    if size != image_size:
        raise UserError(
            f"{workdir} was trained on images of {size} pixels, not {image_size}: its mean image "
            f"does not fit; give --config.data.image_size={size}"
        )


def make_creator(
    config: ConfigDict,
    create: Callable[[], TrainState],
    load_begin: Callable[[], Trained | None],
) -> Callable[[], TrainState]:
    """Return what makes the first state: `create`, then the parameters to begin with, if any.

    They are read only then: a run that has begun does not need their workdir any more.
    """

    def create_from_source() -> TrainState:
        state, source = create(), load_begin()
        if source is None:
            return state
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
    return config.data.threads or usable_cores()
