import numpy as np
import pytest

from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis.reading import (
    batches_speed,
    decoding_speed,
    reading_speeds,
    record_reader,
)
from alexnet_jax.diagnosis.timing import Skipped, Speed
from alexnet_jax.runs.run import build_run


@pytest.fixture
def run(config):
    return build_run(config)


def test_every_record_is_read_once_cold_and_once_warm(run):
    read = []
    reader = record_reader(run.training.pixels.records)

    def remember(indices):
        read.extend(indices.tolist())
        return reader(indices)

    cold, warm = reading_speeds(
        remember, run.training.pixels.files, 500, batch_size=32, threads=2, seconds=60
    )
    assert sorted(read) == sorted([*range(500), *range(500)])
    assert isinstance(warm, Speed)
    assert isinstance(cold, Speed | Skipped)
    assert warm.repetitions == 500 // 32


def test_the_bytes_of_reading_agree_with_the_file(run):
    # A record holds a name and a label besides the image.
    size = sum(file.stat().st_size for file in run.training.pixels.files)
    assert 0.8 * size < record_reader(run.training.pixels.records)(np.arange(500)) < size


def test_decoding_lasts_for_its_time(run):
    short = decoding_speed(run.training.pixels, batch_size=1, threads=2, seconds=0.05)
    long = decoding_speed(run.training.pixels, batch_size=1, threads=2, seconds=0.5)
    assert long.repetitions > short.repetitions > 0


def test_batches_end_with_the_run(run):
    speed = batches_speed(read_ahead(run.training, 0, threads=2), 32, seconds=60)
    assert speed.repetitions == 5  # Of six, the first starts the clock.


def test_a_run_of_one_step_has_no_second_batch_to_time(config):
    config.train.steps = 1
    batches = read_ahead(build_run(config).training, 0, threads=2)
    assert batches_speed(batches, 32, seconds=1) == Skipped("the run is one step long")
