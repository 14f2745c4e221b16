import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.shuffle import Shuffler

from alexnet_jax.data.builders.hash_order import HashOrder
from alexnet_jax.errors import UserError

KEYS = [f"image_{n}.JPEG" for n in range(2_000)]


def serialized(key):
    features = tfds.features.FeaturesDict({"file_name": tfds.features.Text()})
    return features.serialize_example({"file_name": key})


def open_files(directory):
    """How many files in a directory this process has open, with names or without."""
    opened = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.exists()]
    return sum(path.is_relative_to(directory) for path in opened)


def ordered(directory, keys, memory_bytes):
    with HashOrder(directory, "train", memory_bytes) as order:
        for key in keys:
            order.add(key, key.encode())
        return list(order)


@pytest.mark.parametrize("memory_bytes", [1 << 30, 1_000])
def test_the_order_is_that_of_tfds_own_shuffler(tmp_path, memory_bytes):
    shuffler = Shuffler(tmp_path, "train")
    for key in KEYS:
        shuffler.add(key, key.encode())
    assert ordered(tmp_path, KEYS, memory_bytes) == [data for _, data in shuffler]


def test_files_are_freed_as_they_are_read(tmp_path):
    with HashOrder(tmp_path, "train", memory_bytes=0) as order:
        for key in KEYS:
            order.add(key, key.encode())
        before = open_files(tmp_path)
        assert before > 400
        list(itertools.islice(order, 1_000))
        assert open_files(tmp_path) == pytest.approx(before / 2, rel=0.1)
    assert open_files(tmp_path) == 0


def test_nothing_is_left_when_the_reader_gives_up(tmp_path):
    with HashOrder(tmp_path, "train", memory_bytes=0) as order:
        for key in KEYS:
            order.add(key, key.encode())
        next(iter(order))
        assert not list(tmp_path.iterdir())  # Not even if the process were killed now.
    assert not list(tmp_path.iterdir())


def test_bytes_of_any_content_survive_the_disk(tmp_path):
    data = [np.random.default_rng(n).bytes(n) for n in range(200)]
    with HashOrder(tmp_path, "train", memory_bytes=0) as order:
        for number, item in enumerate(data):
            order.add(str(number), item)
        assert sorted(order) == sorted(data)


@pytest.mark.parametrize("memory_bytes", [1 << 30, 0])
def test_a_key_given_twice_is_an_error_that_names_the_file(tmp_path, memory_bytes):
    with HashOrder(tmp_path, "train", memory_bytes) as order:
        for key in ("a.JPEG", "b.JPEG", "a.JPEG"):
            order.add(key, serialized(key))
        with pytest.raises(UserError, match=r"same name, 'a\.JPEG'"):
            list(order)
