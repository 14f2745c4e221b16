import numpy as np
import pytest

from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.prediction.batches import ImageBatch, compute_ahead, read_batches


def read(paths, **options):
    return list(read_batches(paths, 96, 64, **options))


def test_images_come_in_order_in_batches_of_one_shape(images):
    paths = images(7)
    batches = read(paths, rows=3)
    assert [path for batch in batches for path in batch.paths] == paths
    assert {batch.images.shape for batch in batches} == {(3, 96, 96, 3)}
    for batch in batches:
        for path, image in zip(batch.paths, batch.images, strict=False):
            np.testing.assert_array_equal(image, read_image(path.read_bytes(), 96))


def test_rows_after_the_last_image_are_zero(images):
    *_, last = read(images(5), rows=4)
    assert last.images[0].any()
    assert not last.images[1:].any()


@pytest.mark.parametrize(("count", "rows"), [(1, 4), (5, 8), (9, 12), (13, 12)])
def test_a_batch_divides_over_the_devices_and_is_no_larger_than_needed(images, count, rows):
    assert len(read(images(count), rows=10, multiple=4)[0].images) == rows


def test_an_image_that_cannot_be_read_is_zero_and_has_a_reason(images, tmp_path):
    paths = images(3)
    paths[1].write_text("hello")
    (batch,) = read(paths)
    assert [problem is None for problem in batch.problems] == [True, False, True]
    assert "not a readable image" in batch.problems[1]
    assert not batch.images[1].any()


def test_no_paths_give_no_batches():
    assert read([]) == []


def test_paths_are_read_only_a_few_batches_ahead(images):
    """Of standard input, which may be endless."""
    (path,), taken = images(1), []

    def endless():
        while True:
            taken.append(path)
            yield path

    batches = read_batches(endless(), 96, 64, rows=2, threads=2)
    next(batches)
    assert len(taken) <= 2 * 4
    batches.close()


def test_the_next_batch_is_started_before_a_result_is_handled():
    events = []

    def batches():
        for number in range(3):
            yield ImageBatch(np.array(number), (), [])

    def compute(images):
        events.append(f"start {images}")
        return int(images)

    for _, result in compute_ahead(compute, batches()):
        events.append(f"handle {result}")
    assert events == ["start 0", "start 1", "handle 0", "start 2", "handle 1", "handle 2"]
