"""Throughput of the devices: transfer, augmentation, the training step, and the whole loop."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from alexnet_jax.data.stream import Batch, TrainingBatches
from alexnet_jax.diagnosis.memory import program_bytes
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed, time_calls
from alexnet_jax.parallel.mesh import to_devices
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import compile_and_tidy
from alexnet_jax.training.experiment import Experiment
from alexnet_jax.training.metric_window import MetricWindow, steps_in_flight
from alexnet_jax.training.step import describe_batch

FEWEST_STEPS = 2  # A loop must overlap reading with a step.


@dataclass(frozen=True)
class CompiledStep:
    """The training step, compiled for one batch size."""

    call: jax.stages.Compiled  # (state, batch) -> (state, metrics).
    batch_size: int
    compile_seconds: float  # With tracing; short if the compilation cache has the program.
    bytes_per_device: int  # As the compiler reports it.


def random_batch(batch_size: int, image_size: int, num_classes: int) -> Batch:
    """Return a batch of random pixels and labels."""
    generator = np.random.default_rng(0)
    shape = (batch_size, image_size, image_size, 3)
    return {
        "image": generator.integers(0, 256, shape, np.uint8),
        "label": generator.integers(0, num_classes, batch_size, np.int32),
        "mask": np.ones(batch_size, np.bool_),
    }


def compile_step(experiment: Experiment, batch: Batch) -> CompiledStep:
    """Compile the step for batches shaped like `batch`."""
    start = time.perf_counter()
    size, image_size = batch["image"].shape[:2]
    described = describe_batch(size, image_size, experiment.mesh)
    lowered = experiment.train_step.lower(experiment.network.abstract_state, described)
    compiled = compile_and_tidy(lowered)
    return CompiledStep(compiled, size, time.perf_counter() - start, program_bytes(compiled))


def transfer_speed(experiment: Experiment, batch: Batch, seconds: float) -> Speed:
    """Send a batch to the devices repeatedly, waiting for each transfer."""
    size = sum(rows.nbytes for rows in batch.values())
    return _repeat(
        lambda: to_devices(batch, experiment.mesh), len(batch["label"]), seconds, transferred=size
    )


def augmentation_speed(experiment: Experiment, batch: Batch, seconds: float) -> Speed:
    """Augment one batch on the devices repeatedly."""
    images = to_devices(batch, experiment.mesh)["image"]
    augment = jax.jit(experiment.augmentation)
    return _repeat(lambda: augment(jax.random.key(0), images, np.int32(0)), len(images), seconds)


def _repeat(
    call: Callable[[], Any], images: int, seconds: float, transferred: int | None = None
) -> Speed:
    """Time a call after one of warm-up, each until its results are there."""

    def run() -> None:
        jax.block_until_ready(call())

    run()
    elapsed, calls = time_calls(run, seconds)
    return Speed(images / elapsed, elapsed, calls, transferred and transferred / elapsed)


def step_speed(experiment: Experiment, step: CompiledStep, batch: Batch, seconds: float) -> Speed:
    """Train on one batch that is on the devices, after one step of warm-up."""
    sent = jax.block_until_ready(to_devices(batch, experiment.mesh))
    state, _ = jax.block_until_ready(step.call(experiment.create_state(), sent))
    ahead = max(1, 4 * steps_in_flight())  # Queued steps hide the host.

    def train() -> None:
        nonlocal state
        for _ in range(ahead):
            state, _ = step.call(state, sent)
        jax.block_until_ready(state)

    elapsed, calls = time_calls(train, seconds)
    return Speed(step.batch_size * ahead / elapsed, elapsed / ahead, calls * ahead)


def loop_speed(
    experiment: Experiment,
    step: CompiledStep,
    batches: TrainingBatches,
    threads: int,
    settling: float,
    seconds: float,
) -> tuple[Outcome, float | None]:
    """Train as the training loop does, without evaluations and checkpoints, for two steps or more.

    The first batches are prefetched during `settling` seconds, as a run does once, at its start.

    Returns:
        The speed, and the fraction of the time in which the devices waited for data.
    """
    state = jax.block_until_ready(experiment.create_state())
    with closing(cast(Any, prefetch_to_device(batches, 0, threads, experiment.mesh))) as iterator:
        batch = next(iterator)
        time.sleep(settling)
        window, start = MetricWindow(step.batch_size), time.perf_counter()
        while batch is not None:
            state, metrics = step.call(state, batch)
            batch = window.add(metrics, iterator)
            if time.perf_counter() - start > seconds and len(window) >= FEWEST_STEPS:
                break
    steps = len(window)
    if steps < FEWEST_STEPS:
        return Skipped("the run is too short"), None
    values = window.close(steps)
    rate = values["images_per_second"]
    return Speed(rate, step.batch_size / rate, steps), values["data_wait_fraction"]
