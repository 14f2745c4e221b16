import threading
import time

import numpy as np
import pytest

from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches, read_ahead, read_and_send

SIZE = 32


@pytest.fixture(scope="module")
def records(fractals_dir):
    return Records(fractals_dir, "fractals/demo_20", "train")


@pytest.fixture(scope="module")
def training(records):
    return TrainingBatches(DecodedImages(records, SIZE), batch_size=96, seed=5, steps=20)


@pytest.fixture(scope="module")
def validation_records(fractals_dir):
    return Records(fractals_dir, "fractals/demo_20", "validation")


class CountingPixels:
    """Image i is filled with i; cheap enough to be asked for many."""

    image_size = 2

    def __init__(self, length, broken=()):
        self._length, self._broken = length, broken

    def __len__(self):
        return self._length

    def read_into(self, indices, images, labels):
        for row, index in enumerate(indices):
            if index in self._broken:
                raise ValueError(f"image {index} is broken")
            images[row] = labels[row] = index


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


class RecordedPixels(CountingPixels):
    """Remembers what was read together, and by which thread."""

    def __init__(self, length):
        super().__init__(length)
        self.pieces, self.threads = [], set()

    def read_into(self, indices, images, labels):
        self.pieces.append(list(indices))
        self.threads.add(threading.get_ident())
        super().read_into(indices, images, labels)


@pytest.mark.slow
def test_every_epoch_holds_each_example_once(training):
    stream = np.concatenate([training.indices(step) for step in range(20)])
    for epoch in range(3):
        np.testing.assert_array_equal(
            np.sort(stream[200 * epoch : 200 * (epoch + 1)]), np.arange(200)
        )


def test_a_batch_holds_the_pixels_and_labels_of_its_examples(training, records):
    batch = next(read_ahead(training, 3, threads=2))
    (example,) = records.read(training.indices(3)[10:11])
    np.testing.assert_array_equal(batch["image"][10], read_image(example["image"], SIZE))
    assert batch["label"][10] == example["label"]


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_from_any_start_whatever_the_threads(training, threads):
    whole = list(read_ahead(training, 0, 2))
    assert len(whole) == 20
    for batch, expected in zip(read_ahead(training, 17, threads), whole[17:], strict=True):
        assert_equal(batch, expected)


@pytest.mark.parametrize(("threads", "rows"), [(1, 48), (2, 24), (5, 10), (8, 8)])
def test_each_thread_has_two_pieces_of_a_batch_but_none_of_a_few_rows(threads, rows):
    pixels = RecordedPixels(96)
    next(read_ahead(EvaluationBatches(pixels, batch_size=96), 0, threads))
    pieces = sorted(pixels.pieces)
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(96), "each is read once")
    assert {len(piece) for piece in pieces[:-1]} == {rows}


def test_no_more_threads_read_than_are_asked_for():
    pixels = RecordedPixels(800)
    list(read_ahead(EvaluationBatches(pixels, batch_size=100), 0, threads=1))
    assert len(pixels.threads) == 1


def test_at_most_four_batches_are_in_the_making():
    batches = EvaluationBatches(CountingPixels(300), batch_size=10)
    begun, released = [], threading.Event()

    def send(batch):
        begun.append(batch)
        released.wait(60)
        return batch

    reader = threading.Thread(target=lambda: list(read_and_send(batches, 0, 2, send)))
    reader.start()
    deadline = time.monotonic() + 30
    while len(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # A fifth would begin now.
    count = len(begun)
    released.set()
    reader.join()
    assert count == 4


def test_labels_are_int32():
    batch = next(read_ahead(EvaluationBatches(CountingPixels(5), batch_size=8), 0, threads=1))
    assert batch["label"].dtype == np.int32


def test_a_batch_that_somebody_keeps_is_never_overwritten():
    batches = TrainingBatches(CountingPixels(1000), batch_size=50, seed=0, steps=200)
    kept = [batch["image"] for batch in read_ahead(batches, 0, threads=3)]
    for step, images in enumerate(kept):
        np.testing.assert_array_equal(images[:, 0, 0, 0], batches.indices(step).astype(np.uint8))


def test_the_memory_of_batches_that_nobody_keeps_is_used_again():
    batches = TrainingBatches(CountingPixels(1000), batch_size=50, seed=0, steps=300)
    places = {batch["image"].ctypes.data for batch in read_ahead(batches, 0, threads=2)}
    assert len(places) < 20


def test_an_error_in_a_thread_is_raised_where_the_batch_is_asked_for():
    batches = EvaluationBatches(CountingPixels(100, broken={70}), batch_size=20)
    stream = read_ahead(batches, 0, threads=2)
    assert [next(stream)["label"][0] for _ in range(3)] == [0, 20, 40]
    with pytest.raises(ValueError, match="image 70 is broken"):
        next(stream)


def test_evaluation_shows_every_example_once_and_masks_the_rest(validation_records):
    batches = EvaluationBatches(DecodedImages(validation_records, SIZE), batch_size=16)
    everything = list(read_ahead(batches, 0, threads=2))
    labels = np.concatenate([batch["label"][batch["mask"]] for batch in everything])
    expected = [example["label"] for example in validation_records.read(range(batches.count))]
    np.testing.assert_array_equal(labels, expected)
    assert {len(batch["image"]) for batch in everything} == {16}


def test_padding_is_black_whatever_its_memory_held_before():
    batches = EvaluationBatches(CountingPixels(250), batch_size=100)
    for _ in range(3):  # The first batch's memory becomes the last one's.
        *_, last = read_ahead(batches, 0, threads=2)
        assert not last["image"][50:].any()
        assert not last["mask"][50:].any()


@pytest.mark.parametrize("number", [0, 2])
def test_the_rows_of_two_hosts_are_the_batch_of_one(number):
    """Of batch 2 there are 50 examples and 50 rows of padding: all that the second host has."""
    batches = EvaluationBatches(CountingPixels(250), batch_size=100)

    def read(rows):
        return next(read_and_send(batches, number, 2, lambda batch: batch, rows))

    whole, first, second = (read(rows) for rows in (None, np.arange(50), np.arange(50, 100)))
    assert_equal({name: np.concatenate([first[name], second[name]]) for name in whole}, whole)
