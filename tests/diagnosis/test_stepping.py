import time

import jax.numpy as jnp
import numpy as np
import pytest
from known_waits import SlowPixels
from short_run import short_config

from alexnet_jax.data.stream import TrainingBatches, read_ahead
from alexnet_jax.diagnosis.stepping import CompiledStep, compile_step, loop_speed, random_batch
from alexnet_jax.diagnosis.timing import Skipped
from alexnet_jax.runs.run import build_run
from alexnet_jax.training.experiment import build_without_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def experiment(fractals_dir):
    config = short_config(fractals_dir)
    config.schedule.name = "constant"  # The same program, whatever the length of the run.
    return build_without_data(config)


@pytest.fixture(scope="module")
def step(experiment):
    return compile_step(experiment, random_batch(32, 96, 10))


def test_a_random_batch_is_of_the_kind_that_training_reads(fractals_dir):
    made = random_batch(32, 96, 10)
    read = next(read_ahead(build_run(short_config(fractals_dir)).training, 0, threads=1))
    assert {name: (rows.shape, rows.dtype) for name, rows in made.items()} == {
        name: (rows.shape, rows.dtype) for name, rows in read.items()
    }
    assert made["label"].max() < 10


def test_the_whole_loop_trains_on_every_batch_of_a_short_run(experiment, step, fractals_dir):
    batches = build_run(short_config(fractals_dir)).training
    speed, _ = loop_speed(experiment, step, batches, threads=2, settling=0.1, seconds=60)
    assert speed.repetitions == 6
    assert speed.images_per_second * speed.seconds == pytest.approx(32)


def test_the_devices_wait_for_a_slow_source_and_not_for_a_fast_one(experiment):
    def waiting(seconds_of_a_batch):
        pixels = SlowPixels(seconds_of_a_batch)
        batches = TrainingBatches(pixels, batch_size=8, seed=0, steps=10)
        step = CompiledStep(slow_step, batch_size=8, compile_seconds=0.0, bytes_per_device=0)
        return loop_speed(experiment, step, batches, threads=2, settling=0.0, seconds=60)[1]

    assert waiting(0.0) < 0.3 < waiting(0.3)


def slow_step(state, batch):
    time.sleep(0.03)
    return state, dict.fromkeys(("loss", "top1_error", "learning_rate"), jnp.float32(0))


def test_a_run_of_one_step_has_no_loop_to_measure(experiment, step, fractals_dir):
    config = short_config(fractals_dir)
    config.train.steps = 1
    batches = build_run(config).training
    assert loop_speed(experiment, step, batches, threads=2, settling=0.1, seconds=60) == (
        Skipped("the run is too short"),
        None,
    )


def test_the_step_needs_room_for_the_state_and_a_batch(experiment, step):
    state = 2 * 4 * 182_778  # Parameters and their momentum.
    assert step.bytes_per_device > state + 32 // experiment.mesh.size * np.prod((96, 96, 3))
