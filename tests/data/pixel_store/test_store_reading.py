import fcntl
import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from made_files import jpeg

from alexnet_jax.data.builders.preparation import Request, prepare_dataset, prepare_store
from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.errors import UserError

SIZE = 16


def open_store(data_dir, split="train", size=SIZE):
    return PixelStore(data_dir, "imagenet2012", split, size)


def read(pixels, indices):
    images = np.empty((len(indices), pixels.image_size, pixels.image_size, 3), np.uint8)
    labels = np.empty(len(indices), np.int32)
    pixels.read_into(indices, images, labels)
    return images, labels


def change_manifest(directory, **values):
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_any_index_gives_the_pixels_and_label_that_decoding_gives(stored, split):
    decoded = DecodedImages(Records(stored[0], "imagenet2012", split), SIZE)
    store = open_store(stored[0], split)
    assert len(store) == len(decoded)
    indices = np.random.default_rng(0).integers(0, len(decoded), 50)
    for one, other in zip(read(store, indices), read(decoded, indices), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_found_across_shards(stored, monkeypatch):
    data_dir, directory = stored
    monkeypatch.setattr("alexnet_jax.data.pixel_store.writing._SHARD_BYTES", 5 * SIZE**2 * 3)
    shutil.rmtree(directory)
    prepare_store(Request("imagenet2012", data_dir, image_size=SIZE))
    assert len(list(directory.glob("train-*-of-00003.npy"))) == 3
    store = open_store(data_dir)
    decoded = DecodedImages(Records(data_dir, "imagenet2012", "train"), SIZE)
    indices = [11, 4, 5, 0, 9, 10, 5]
    np.testing.assert_array_equal(read(store, indices)[0], read(decoded, indices)[0])


def test_anyone_may_map_the_shards(stored):
    store = open_store(stored[0])
    shard = np.load(stored[1] / "train-00000-of-00001.npy", mmap_mode="r")
    assert shard.offset == 4096  # Where a block of the disk begins.
    np.testing.assert_array_equal(shard, read(store, range(12))[0])


def test_it_declares_what_the_records_declare(stored):
    store, records = open_store(stored[0]), Records(stored[0], "imagenet2012", "train")
    assert store.class_names == records.class_names
    assert store.num_classes == records.num_classes


def test_it_needs_no_records(stored, tmp_path):
    elsewhere = tmp_path / "local" / "imagenet2012" / "5.1.0" / "pixels_16"
    shutil.copytree(stored[1], elsewhere)
    store = open_store(tmp_path / "local")
    np.testing.assert_array_equal(
        read(store, range(12))[0], read(open_store(stored[0]), range(12))[0]
    )
    assert load_statistics(store.directory, SIZE, count=12).count == 12


def test_a_directory_that_cannot_be_written_is_read(stored):
    for path in (*stored[1].iterdir(), stored[1]):
        path.chmod(0o555)
    assert len(open_store(stored[0])) == 12


def test_more_files_may_be_open_than_imagenet_has_shards(stored):
    open_store(stored[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft >= min(2_048, hard)


def test_descriptors_are_closed_with_the_store(stored):
    store = open_store(stored[0])
    (descriptor,) = store._descriptors.tolist()
    fcntl.fcntl(descriptor, fcntl.F_GETFD)
    del store
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.fcntl(descriptor, fcntl.F_GETFD)


def test_no_store_says_what_to_run(imagenet_dir):
    command = (
        rf"prepare --dataset=imagenet2012 --data_dir={imagenet_dir} --image_size=16 --store_only"
    )
    with pytest.raises(UserError, match=command):
        open_store(imagenet_dir)


def test_another_image_size_names_the_one_there_is(stored):
    with pytest.raises(UserError, match=r"at 32 pixels .*there is pixels_16.*--image_size=32"):
        open_store(stored[0], size=32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "is a pixel store of format 2, this program reads format 1"),
        ({"image_size": 32}, "is a pixel store of imagenet2012 at 32 pixels, not of .* at 16"),
        ({"data_set": "folder"}, "is a pixel store of folder at 16 pixels, not of imagenet2012"),
        ({"resize": "nearest"}, r"was made by another method \(nearest; now: shorter side"),
        ({"fingerprint": "0"}, "was made from other records than those beside it"),
        ({"class_names": ["cat"]}, r"label \d+ of image \d+ is not in \[0, 1\)"),
        ({"splits": {}}, r"has no split 'train', only \[\]"),
        ({"splits": {"train": {}}}, "manifest.json cannot be read"),
        ({"surprise": 1}, "manifest.json cannot be read"),
    ],
)
def test_a_store_of_something_else_is_refused(stored, values, message):
    change_manifest(stored[1], **values)
    with pytest.raises(UserError, match=message):
        open_store(stored[0])


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "null", "3", '{"format": 1}', "[" * 100_000],
    ids=lambda text: text[:5],
)
def test_a_damaged_manifest_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "imagenet2012" / "5.1.0" / "pixels_16" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"manifest.json cannot be read .* make the pixel store again"
    ) as error:
        open_store(tmp_path)
    assert "\n" not in str(error.value)


def test_a_missing_shard_is_named_with_the_way_to_get_it_back(stored):
    (stored[1] / "train-00000-of-00001.npy").unlink()
    with pytest.raises(UserError, match=r"train-00000-of-00001.npy is missing.* --store_only"):
        open_store(stored[0])


def test_a_short_shard_is_named_with_its_length(stored):
    path = stored[1] / "train-00000-of-00001.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"train-00000-of-00001.npy has 13,311 bytes, of 13,312"):
        open_store(stored[0])


@pytest.mark.parametrize("index", [-1, 12])
def test_an_example_that_does_not_exist_is_an_error(stored, index):
    with pytest.raises(IndexError):
        read(open_store(stored[0]), [0, index])


def test_a_shard_that_shrinks_while_it_is_read_is_an_error_and_no_crash(stored):
    store = open_store(stored[0])
    with (stored[1] / "train-00000-of-00001.npy").open("r+b") as shard:
        shard.truncate(1_000)
    with pytest.raises(UserError, match="shard 0 has become shorter since it was opened"):
        read(store, [11])


@pytest.mark.parametrize("label", [-1, 1_000])
def test_a_label_that_no_class_has_is_refused(stored, label):
    path = stored[1] / "train-labels.npy"
    labels = np.load(path)
    labels[3] = label
    np.save(path, labels)
    with pytest.raises(UserError, match=rf"label {label} of image 3 is not in \[0, 1000\)"):
        open_store(stored[0])


def test_labels_of_another_type_are_refused(stored):
    path = stored[1] / "train-labels.npy"
    np.save(path, np.load(path).astype(np.float32))
    with pytest.raises(UserError, match=r"holds float32 \[12\], not int32 \[12\]"):
        open_store(stored[0])


def test_a_pickle_in_place_of_the_labels_is_not_opened(stored):
    path = stored[1] / "train-labels.npy"
    np.save(path, np.array([{}], dtype=object))
    splits = json.loads((stored[1] / "manifest.json").read_text())["splits"]
    splits["train"]["labels"]["bytes"] = path.stat().st_size
    change_manifest(stored[1], splits=splits)
    with pytest.raises(UserError, match=r"train-labels.npy cannot be read .*allow_pickle"):
        open_store(stored[0])


def test_an_unfinished_store_says_how_to_complete_it(stored):
    (stored[1] / "manifest.json").rename(stored[1] / "unfinished.json")
    with pytest.raises(UserError, match="was left unfinished; complete it with: .*--store_only"):
        open_store(stored[0])


def test_a_store_that_is_being_written_is_told_from_one_that_was_left(stored):
    (stored[1] / "manifest.json").rename(stored[1] / "unfinished.json")
    with (stored[0] / ".prepare.lock").open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being written by another process; wait"):
            open_store(stored[0])


@pytest.mark.slow
def test_too_many_shards_for_the_limit_on_open_files_says_how_to_raise_it(stored, monkeypatch):
    monkeypatch.setattr("alexnet_jax.data.pixel_store.writing._SHARD_BYTES", SIZE**2 * 3)
    shutil.rmtree(stored[1])
    prepare_store(Request("imagenet2012", stored[0], image_size=SIZE))
    script = f"""
import os, resource
from alexnet_jax.data.pixel_store.reading import PixelStore
allowed = len(os.listdir("/proc/self/fd")) + 6
resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
PixelStore({str(stored[0])!r}, "imagenet2012", "train", {SIZE})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "of 12 shards 3 are open" in done.stderr
    assert "raise it with: ulimit -n 65536" in done.stderr


def test_odd_images_are_stored_as_they_are_decoded(image_folder, tmp_path):
    files = {
        "train/a/gray.jpg": jpeg(1, mode="L"),
        "train/a/wide.jpg": jpeg(2, 90, 20),
        "train/b/cmyk.jpg": jpeg(3, mode="CMYK"),
        "train/b/small.jpg": jpeg(4, 7, 5),
    }
    source = image_folder(files)
    prepare_dataset(Request("folder", tmp_path / "data", source, image_size=SIZE, store=True))
    store = PixelStore(tmp_path / "data", "folder", "train", SIZE)
    images, labels = read(store, range(4))
    expected = {
        read_image(data, SIZE).tobytes(): "ab".index(name[6]) for name, data in files.items()
    }
    assert {image.tobytes(): label for image, label in zip(images, labels, strict=True)} == expected


def test_a_store_verifies_the_files_of_the_images_that_are_read(stored):
    store = open_store(stored[0])
    store.verify(0, len(store))
    content = bytearray(store.files[-1].read_bytes())
    content[-1] ^= 1
    store.files[-1].write_bytes(content)
    with pytest.raises(UserError, match=r"of-00001.npy \(checksum .*--store_only"):
        store.verify(len(store) - 1, len(store))
    store.verify(len(store), len(store))  # No images, so no shard.
