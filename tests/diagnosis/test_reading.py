import os
import sys

import numpy as np
import pytest

from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis.reading import (
    batches_speed,
    decoding_speed,
    drop_from_memory,
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
        remember, run.training.pixels.files, 200, batch_size=32, threads=2, seconds=60
    )
    assert sorted(read) == sorted([*range(200), *range(200)])
    assert isinstance(warm, Speed)
    assert isinstance(cold, Speed | Skipped)
    assert warm.repetitions == 200 // 32


def test_the_bytes_of_reading_agree_with_the_file(run):
    # A record holds a name and a label besides the image.
    size = sum(file.stat().st_size for file in run.training.pixels.files)
    assert 0.8 * size < record_reader(run.training.pixels.records)(np.arange(200)) < size


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


def cached_bytes(file):
    """How much of a file Linux can give without asking the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # It must not read more than asked.
    try:
        return os.preadv(descriptor, [bytearray(file.stat().st_size)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return 0
    finally:
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to forget files")
def test_files_are_forgotten_or_it_says_that_they_are_not(tmp_path):
    file = tmp_path / "shard"
    file.write_bytes(os.urandom(1 << 20))
    assert cached_bytes(file) == 1 << 20
    refusal = drop_from_memory([file])
    assert refusal in ("", "1 of 1 files stay in memory") or refusal.startswith("the file system")
    looked_at = os.sysconf("SC_PAGE_SIZE")  # To look at a page is to ask for it.
    assert (cached_bytes(file) <= looked_at) == (refusal == "")


def test_a_system_that_cannot_forget_is_said_to(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    assert drop_from_memory([tmp_path]) == "only Linux can be asked to forget files"
