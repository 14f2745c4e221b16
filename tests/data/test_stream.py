import numpy as np
import pytest

from alexnet_jax.data.images import read_image
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches, read_ahead


@pytest.fixture(scope="module")
def training(fractals_dir):
    records = Records(fractals_dir, "fractals/demo_50", "train")
    return TrainingBatches(records, batch_size=96, image_size=32, seed=5, steps=20)


@pytest.fixture(scope="module")
def validation_records(fractals_dir):
    return Records(fractals_dir, "fractals/demo_50", "validation")


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_every_epoch_holds_each_example_once(training):
    stream = np.concatenate([training.indices(step) for step in range(20)])
    for epoch in range(3):
        np.testing.assert_array_equal(
            np.sort(stream[500 * epoch : 500 * (epoch + 1)]), np.arange(500)
        )


def test_a_batch_holds_the_pixels_and_labels_of_its_examples(training):
    batch = training[3]
    (example,) = training._records.read(training.indices(3)[10:11])
    np.testing.assert_array_equal(batch["image"][10], read_image(example["image"], 32))
    assert batch["label"][10] == example["label"]


def test_the_same_step_gives_the_same_batch(training):
    assert_equal(training[7], training[7])


@pytest.mark.parametrize("threads", [1, 3])
def test_reading_ahead_gives_the_same_batches_in_order(training, threads):
    for step, batch in zip(range(17, 20), read_ahead(training, 17, threads), strict=True):
        assert_equal(batch, training[step])


def test_evaluation_shows_every_example_once_and_masks_the_rest(validation_records):
    batches = EvaluationBatches(validation_records, batch_size=16, image_size=32)
    everything = list(read_ahead(batches, 0, threads=2))
    labels = np.concatenate([batch["label"][batch["mask"]] for batch in everything])
    expected = [example["label"] for example in validation_records.read(range(batches.count))]
    np.testing.assert_array_equal(labels, expected)
    assert {len(batch["image"]) for batch in everything} == {16}
