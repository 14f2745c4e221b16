"""How fast the devices train: the step, augmentation's part of it, transfer, and the whole loop."""

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from alexnet_jax.data.stream import Batch, TrainingBatches
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed, time_calls
from alexnet_jax.parallel.mesh import to_devices
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import compile_and_tidy
from alexnet_jax.training.experiment import Experiment
from alexnet_jax.training.metric_window import MetricWindow, steps_in_flight
from alexnet_jax.training.step import lower_step

FEWEST_STEPS = 2  # A loop must overlap reading with something.


@dataclass(frozen=True)
class CompiledStep:
    """The step, ready to run on batches of one size.

    Attributes:
        call: (state, batch) -> (state, metrics).
        batch_size: images a step.
        compile_seconds: from Python to a program; little where the cache of programs has it.
        bytes_per_device: what it needs there by the compiler's account: arguments, results and
            intermediate values.
    """

    call: jax.stages.Compiled
    batch_size: int
    compile_seconds: float
    bytes_per_device: int


def random_batch(batch_size: int, image_size: int, num_classes: int) -> Batch:
    """Make up a batch: random pixels and labels."""
    generator = np.random.default_rng(0)
    shape = (batch_size, image_size, image_size, 3)
    return {
        "image": generator.integers(0, 256, shape, np.uint8),
        "label": generator.integers(0, num_classes, batch_size, np.int32),
        "mask": np.ones(batch_size, np.bool_),
    }


def compile_step(experiment: Experiment, batch: Batch) -> CompiledStep:
    """Compile the step for batches like `batch`."""
    start = time.perf_counter()
    size, image_size = batch["image"].shape[:2]
    state, mesh = experiment.network.abstract_state, experiment.mesh
    lowered = lower_step(experiment.train_step, state, size, image_size, mesh)
    compiled = compile_and_tidy(lowered)
    needs = cast(Any, compiled.memory_analysis())
    return CompiledStep(
        call=compiled,
        batch_size=size,
        compile_seconds=time.perf_counter() - start,
        bytes_per_device=needs.argument_size_in_bytes
        + needs.output_size_in_bytes
        - needs.alias_size_in_bytes
        + needs.temp_size_in_bytes,
    )


def transfer_speed(experiment: Experiment, batch: Batch, seconds: float) -> Speed:
    """Send a batch to the devices, waiting for each to arrive."""

    def send() -> None:
        jax.block_until_ready(to_devices(batch, experiment.mesh))

    send()
    elapsed, calls = time_calls(send, seconds)
    size = sum(rows.nbytes for rows in batch.values())
    return Speed(len(batch["label"]) / elapsed, elapsed, calls, size / elapsed)


def step_speed(experiment: Experiment, step: CompiledStep, batch: Batch, seconds: float) -> Speed:
    """Train on one batch that is on the devices, after a step that does not count."""
    sent = jax.block_until_ready(to_devices(batch, experiment.mesh))
    state, _ = jax.block_until_ready(step.call(experiment.create_state(), sent))
    ahead = max(1, 4 * steps_in_flight())  # Where steps may be queued, the queue hides the host.

    def train() -> None:
        nonlocal state
        for _ in range(ahead):
            state, _ = step.call(state, sent)
        jax.block_until_ready(state)

    elapsed, calls = time_calls(train, seconds)
    return Speed(step.batch_size * ahead / elapsed, elapsed / ahead, calls * ahead)


def augmentation_speed(experiment: Experiment, batch: Batch, seconds: float) -> Speed:
    """Augment one batch that is on the devices, and do nothing else."""
    images = to_devices(batch, experiment.mesh)["image"]
    augment = jax.jit(experiment.augmentation)

    def run() -> None:
        jax.block_until_ready(augment(jax.random.key(0), images, np.int32(0)))

    run()
    elapsed, calls = time_calls(run, seconds)
    return Speed(len(images) / elapsed, elapsed, calls)


def loop_speed(
    experiment: Experiment,
    step: CompiledStep,
    batches: TrainingBatches,
    threads: int,
    settling: float,
    seconds: float,
) -> tuple[Outcome, float | None]:
    """Train as the training loop does, without its tests and saves.

    Args:
        experiment: what trains.
        step: its step.
        batches: to train on.
        threads: how many read them.
        settling: seconds in which the first batches are read ahead, which a run does once.
        seconds: how long to train; two steps at least.

    Returns:
        The speed, and the share of the time in which the devices waited for data.
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
