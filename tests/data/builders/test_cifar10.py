"""CIFAR-10 from made files of its binary version."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from made_files import tar

from alexnet_jax.data.builders import cifar10
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

ROWS = 4  # Of a batch, in place of 10,000.
NAMES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]


@pytest.fixture(autouse=True)
def short_batches(monkeypatch):
    monkeypatch.setattr(cifar10, "_ROWS", ROWS)
    monkeypatch.setattr(cifar10, "_BATCH_BYTES", ROWS * 3073)


@pytest.fixture
def images():
    """The images of all batches: uint8 [6, ROWS, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (6, ROWS, 32, 32, 3), np.uint8)


@pytest.fixture
def batches(images):
    """The six files by name: image i of a batch has the label i + 6."""
    labels = np.arange(ROWS) + 6
    return {name: batch(pixels, labels) for name, pixels in zip(NAMES, images, strict=True)}


def batch(images, labels):
    """A batch's bytes, row by row: the label, then the planes of red, green and blue."""
    rows = (
        bytes([label]) + b"".join(pixels[..., channel].tobytes() for channel in range(3))
        for pixels, label in zip(images, labels, strict=True)
    )
    return b"".join(rows)


def archive(batches, folder="cifar-10-batches-bin/"):
    names = {f"{folder}{name}": data for name, data in batches.items()}
    return gzip.compress(tar({f"{folder}batches.meta.txt": b"airplane\n", **names}))


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def prepare(source, tmp_path):
    return prepare_dataset(Request("cifar10", tmp_path / "data", source=source))


def test_images_and_labels_come_back_as_they_were(tmp_path, images, batches):
    prepare(write(tmp_path / "cifar-10-binary.tar.gz", archive(batches)), tmp_path)
    records = Records(tmp_path / "data", "cifar10", "train")
    split = DecodedImages(records, image_size=32)
    pixels, labels = np.zeros((20, 32, 32, 3), np.uint8), np.zeros(20, np.int32)
    split.read_into(range(20), pixels, labels)
    numbers = [int(records[index]["file_name"].decode()[6:11]) for index in range(20)]
    np.testing.assert_array_equal(labels, np.array(numbers) % ROWS + 6)
    np.testing.assert_array_equal(pixels, images[:5].reshape(20, 32, 32, 3)[numbers])


def test_the_makers_test_batch_is_the_validation_split(tmp_path, batches):
    prepare(write(tmp_path / "cifar-10-binary.tar.gz", archive(batches)), tmp_path)
    records = Records(tmp_path / "data", "cifar10", "validation")
    names = sorted(row["file_name"].decode() for row in records.read(range(len(records))))
    assert names == [f"test_{number:05}.png" for number in range(ROWS)]
    assert records.class_names[6:] == ["frog", "horse", "ship", "truck"]


@pytest.mark.parametrize("folder", ["", "cifar-10-batches-bin/"])
def test_a_folder_may_hold_the_unpacked_files(tmp_path, batches, folder):
    for name, data in batches.items():
        write(tmp_path / "source" / f"{folder}{name}", data)
    prepare(tmp_path / "source", tmp_path)
    assert len(Records(tmp_path / "data", "cifar10", "train")) == 5 * ROWS


def test_a_folder_may_hold_the_archive(tmp_path, batches, capsys):
    write(tmp_path / "source" / "cifar-10-binary.tar.gz", archive(batches))
    prepare(tmp_path / "source", tmp_path)
    out = capsys.readouterr().out
    assert f"cifar10: {5 * ROWS} train, {ROWS} validation images" in out
    assert "--config=configs/small_data.py" in out and "--config.data.name=cifar10" in out
    assert "num_classes" not in out  # That of the recipe, which has images of 28 pixels.
    assert "--config.data.image_size=32 --config.data.source=records" in out


DAMAGED = {
    "cut_short": (lambda data: data[:-2_000], "cut short or damaged"),
    "cut_at_the_end": (lambda data: data[:-3], "cut short or damaged"),
    "wrong_checksum": (lambda data: data[:-8] + b"\0" * 8, "CRC check failed"),
    "no_gzip": (lambda data: b"<html>404</html>", "Not a gzipped file"),
    "no_tar": (lambda data: gzip.compress(b"?" * 5_000), "cut short or damaged"),
    "empty": (lambda data: b"", r"cut short or damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_archive_is_named(tmp_path, batches, name):
    damage, message = DAMAGED[name]
    path = write(tmp_path / "cifar-10-binary.tar.gz", damage(archive(batches)))
    with pytest.raises(UserError, match=rf"cifar-10-binary\.tar\.gz.*{message}"):
        prepare(path, tmp_path)
    assert not list((tmp_path / "data" / "cifar10").glob("*"))


BAD = {
    "short": ("data_batch_3.bin", bytes(ROWS * 3073 - 1), "has 12,291 bytes, not the 12,292 of 4"),
    "long": ("test_batch.bin", bytes(ROWS * 3073 + 1), "has 12,293 bytes, not the 12,292 of 4"),
    "label": ("test_batch.bin", bytes([10]) * ROWS * 3073, "a label of test is 10; cifar10 has"),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_batch_is_named(tmp_path, batches, name, packed):
    file, content, message = BAD[name]
    batches[file] = content
    source = tmp_path / "source"
    if packed:
        write(source / "cifar-10-binary.tar.gz", archive(batches))
    else:
        for each, data in batches.items():
            write(source / each, data)
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path)


def test_an_unpacked_file_that_is_far_too_long_is_not_read(tmp_path, batches):
    for name, data in batches.items():
        write(tmp_path / "source" / name, data)
    with (tmp_path / "source" / "test_batch.bin").open("r+b") as file:
        file.truncate(10**12)  # Zeros that take no space.
    with pytest.raises(UserError, match=r"test_batch\.bin is no batch of CIFAR-10: it has 1,000,0"):
        prepare(tmp_path / "source", tmp_path)


def test_a_missing_batch_is_named(tmp_path, batches):
    del batches["data_batch_4.bin"]
    path = write(tmp_path / "cifar-10-binary.tar.gz", archive(batches))
    with pytest.raises(UserError, match=r"lacks data_batch_4\.bin; give the binary version"):
        prepare(path, tmp_path)


def test_the_version_for_python_is_refused_unread(tmp_path):
    pickles = {name.removesuffix(".bin"): b"\x80\x02." for name in NAMES}
    path = write(tmp_path / "cifar-10-python.tar.gz", archive(pickles, "cifar-10-batches-py/"))
    with pytest.raises(UserError, match=r"the binary version, cifar-10-binary\.tar\.gz from http"):
        prepare(path, tmp_path)


@pytest.mark.parametrize("folder", ["../", "/tmp/", "a/../../"])
def test_a_path_outside_of_the_archive_is_refused(tmp_path, batches, folder):
    path = write(tmp_path / "source" / "a.tar.gz", archive(batches, folder))
    with pytest.raises(UserError, match="a path outside of the archive"):
        prepare(path, tmp_path)
    assert [file.name for file in tmp_path.rglob("*.bin")] == []


def test_a_batch_that_occurs_twice_is_refused(tmp_path, batches):
    files = {f"{folder}/{name}": data for folder in "ab" for name, data in batches.items()}
    path = write(tmp_path / "a.tar.gz", gzip.compress(tar(files)))
    with pytest.raises(UserError, match=r"holds data_batch_1\.bin twice"):
        prepare(path, tmp_path)


def test_a_link_is_no_batch(tmp_path, batches):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as linked:
        member = tarfile.TarInfo("data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        linked.addfile(member)
    path = write(tmp_path / "a.tar.gz", gzip.compress(data.getvalue()))
    with pytest.raises(UserError, match=r"lacks data_batch_1\.bin"):
        prepare(path, tmp_path)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--source=.*none is neither a file nor a directory"):
        prepare(tmp_path / "none", tmp_path)


def test_a_file_claiming_too_much_is_refused(tmp_path):
    member = tarfile.TarInfo("data_batch_1.bin")
    member.size = 10**12
    path = write(tmp_path / "a.tar.gz", gzip.compress(member.tobuf() + bytes(1024)))
    with pytest.raises(UserError, match=r"claims 1,000,000,000,000 bytes"):
        prepare(path, tmp_path)
