import numpy as np
import pytest

from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.prediction import batches
from alexnet_jax.prediction.batches import ImageBatch, compute_ahead, read_batches
from alexnet_jax.system import bounded_map


@pytest.fixture
def few_rows(monkeypatch):
    """Batches of so many images."""
    return lambda rows: monkeypatch.setattr(batches, "_ROWS", rows)


def read(paths, multiple=1):
    return list(read_batches(paths, 96, 64, multiple))


def test_images_come_in_order_in_batches_of_one_shape(images, few_rows):
    paths = images(7)
    few_rows(3)
    found = read(paths)
    assert [path for batch in found for path in batch.paths] == paths
    assert {batch.images.shape for batch in found} == {(3, 96, 96, 3)}
    for batch in found:
        for path, image in zip(batch.paths, batch.images, strict=False):
            np.testing.assert_array_equal(image, read_image(path.read_bytes(), 96))


def test_rows_after_the_last_image_are_zero(images, few_rows):
    few_rows(4)
    *_, last = read(images(5))
    assert last.images[0].any()
    assert not last.images[1:].any()


@pytest.mark.parametrize(("count", "rows"), [(1, 4), (5, 8), (9, 12), (13, 12)])
def test_a_batch_divides_over_the_devices_and_is_no_larger_than_needed(
    images, few_rows, count, rows
):
    few_rows(10)
    assert len(read(images(count), multiple=4)[0].images) == rows


def test_an_image_that_cannot_be_read_is_zero_and_has_a_reason(images, tmp_path):
    paths = images(3)
    paths[1].write_text("hello")
    (batch,) = read(paths)
    assert [problem is None for problem in batch.problems] == [True, False, True]
    assert "not a readable image" in batch.problems[1]
    assert not batch.images[1].any()


def test_no_paths_give_no_batches():
    assert read([]) == []


def test_paths_are_read_only_a_few_batches_ahead(images, few_rows, monkeypatch):
    """Of standard input, which may be endless."""
    (path,), taken = images(1), []

    def endless():
        while True:
            taken.append(path)
            yield path

    few_rows(2)
    monkeypatch.setattr(bounded_map, "usable_cores", lambda: 2)
    reading = read_batches(endless(), 96, 64, 1)
    next(reading)
    assert len(taken) <= 2 * 4
    reading.close()


def test_the_next_batch_is_started_before_a_result_is_handled():
    events = []

    def numbered():
        for number in range(3):
            yield ImageBatch(np.array(number), (), [])

    def compute(images):
        events.append(f"start {images}")
        return int(images)

    for _, result in compute_ahead(compute, numbered()):
        events.append(f"handle {result}")
    assert events == ["start 0", "start 1", "handle 0", "start 2", "handle 1", "handle 2"]
