"""Data sets in MNIST's file format."""

import gzip
import struct

import numpy as np
import pytest

from alexnet_jax.data.builders.idx import read_idx
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError


def idx(array):
    """The bytes of an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)


@pytest.fixture
def source(tmp_path, images):
    """A folder with the four files: two of them compressed."""
    folder = tmp_path / "source"
    folder.mkdir()
    labels = np.arange(30) % 10
    (folder / "train-images-idx3-ubyte").write_bytes(idx(images))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[:10])))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:10]))
    return folder


def prepare(source, tmp_path, name="fashion_mnist"):
    return prepare_dataset(Request(name, tmp_path / "data", source=source, image_size=28))


def test_images_and_labels_come_back_as_they_were(source, tmp_path, images):
    prepare(source, tmp_path)
    records = Records(tmp_path / "data", "fashion_mnist", "train")
    split = DecodedImages(records, image_size=28)
    pixels, labels = np.zeros((30, 28, 28, 3), np.uint8), np.zeros(30, np.int32)
    split.read_into(range(30), pixels, labels)
    assert split.class_names[9] == "ankle boot"
    numbers = [int(records[index]["file_name"].decode()[6:11]) for index in range(30)]
    np.testing.assert_array_equal(labels, np.array(numbers) % 10)
    np.testing.assert_array_equal(pixels, images[numbers][..., None].repeat(3, axis=-1))


def test_the_makers_test_set_is_the_validation_split(source, tmp_path):
    prepare(source, tmp_path)
    assert len(Records(tmp_path / "data", "fashion_mnist", "validation")) == 10


def test_the_summary_names_a_command_that_fits(source, tmp_path, capsys):
    prepare_dataset(Request("mnist", tmp_path / "data", source=source))
    out = capsys.readouterr().out
    assert "--config=configs/small_data.py" in out and "--config.data.name=mnist" in out
    assert "num_classes" not in out and "image_size" not in out  # Those of the recipe.
    assert "--config.data.source=records" in out  # The recipe reads a store, which is not there.


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"", "does not begin"),
        ("train-images-idx3-ubyte", idx(np.zeros(30)), "3 dimensions"),
        (
            "train-images-idx3-ubyte",
            idx(np.zeros((30, 28, 28)))[:-1],
            "says 23,520 .* holds 23,519",
        ),
        ("train-images-idx3-ubyte", idx(np.zeros((30, 28, 28))) + b"0", "holds more"),
        ("train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12, "more than 1,073,741,824"),
        ("train-images-idx3-ubyte", idx(np.zeros((29, 28, 28))), "29 images and 30 labels"),
        ("t10k-labels-idx1-ubyte", idx(np.full(10, 10)), "label of t10k is 10"),
        ("train-labels-idx1-ubyte.gz", b"no gzip", "train-labels-idx1-ubyte.gz is no IDX file"),
        ("train-labels-idx1-ubyte.gz", gzip.compress(bytes(99))[:-9], "is no IDX file"),
    ],
    ids=[
        "empty",
        "one_axis",
        "cut_short",
        "too_long",
        "huge",
        "an_image_less",
        "no_class",
        "no_gzip",
        "gzip_cut_short",
    ],
)
def test_a_damaged_file_is_named(source, tmp_path, name, content, message):
    (source / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path)
    assert not (tmp_path / "data" / "fashion_mnist" / "1.0.0").exists()


def test_a_missing_file_is_named(source, tmp_path):
    (source / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=r"neither t10k-labels-idx1-ubyte nor .*\.gz"):
        prepare(source, tmp_path)


def test_a_file_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(10)) + bytes(50_000_000)))
    with pytest.raises(UserError, match="holds more"):
        read_idx(path, dimensions=1)
