import pytest

from alexnet_jax.data.records import Records
from alexnet_jax.diagnosis.reading import (
    batches_speed,
    decoding_speed,
    reading_speeds,
    record_files,
)
from alexnet_jax.diagnosis.timing import Skipped, Speed
from alexnet_jax.training.rehearsal import find_material


@pytest.fixture
def records(config):
    return Records(config.data.dir, config.data.name, "train")


def test_the_files_of_the_training_split_are_found(records):
    (file,) = record_files(records)
    assert "train" in file.name


def test_bytes_and_images_of_reading_agree_with_the_file(records):
    cold, warm = reading_speeds(records, batch_size=32, threads=2, seconds=30)
    assert isinstance(warm, Speed)
    assert isinstance(cold, Speed | Skipped)
    bytes_an_image = warm.bytes_per_second / warm.images_per_second
    (file,) = record_files(records)
    # All 500 were read; a record holds a name and a label too.
    assert 0.8 * file.stat().st_size < 500 * bytes_an_image < file.stat().st_size
    assert warm.repetitions == 500 // 32


def test_decoding_goes_on_for_its_time(records):
    short = decoding_speed(records, 96, batch_size=1, threads=2, seconds=0.05)
    long = decoding_speed(records, 96, batch_size=1, threads=2, seconds=0.5)
    assert long.repetitions > short.repetitions > 0


def test_batches_end_with_the_run(config):
    speed = batches_speed(find_material(config).batches, threads=2, seconds=60)
    assert speed.repetitions == 5  # Of six, the first starts the clock.


def test_a_run_of_one_step_has_no_second_batch_to_time(config):
    config.train.steps = 1
    assert batches_speed(find_material(config).batches, threads=2, seconds=1) == Skipped(
        "the run is one step long"
    )
