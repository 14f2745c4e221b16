"""Data sets whose description or records are damaged: named in a line, with a way to fix it."""

import json
import re
import shutil

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from cluster_runs import finish, options, start
from short_run import FRACTALS
from tensorflow_datasets.proto import tf_example_pb2

from alexnet_jax.data.dataset_info import records_fingerprint
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.statistics_file import compute_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis.reading import decoding_speed
from alexnet_jax.errors import UserError
from alexnet_jax.runs.run import build_run

pytestmark = pytest.mark.slow

CONTENTS = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"splits": 3}']


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_description_is_refused_in_a_line(fractals_dir, tmp_path, name):
    source = next(fractals_dir.glob(f"{FRACTALS}/*/dataset_info.json")).parent
    for number, content in enumerate(CONTENTS):
        directory = tmp_path / str(number) / FRACTALS / source.name
        directory.mkdir(parents=True)
        for file in source.glob("*.json"):
            shutil.copy(file, directory)
        (directory / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read|holds|has no split") as error:
            Records(tmp_path / str(number), FRACTALS, "train")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_description_has_no_fingerprint_but_a_line(tmp_path, content):
    (tmp_path / "dataset_info.json").write_bytes(content)
    with pytest.raises(UserError, match=r"dataset_info.json cannot be read \(.*prepare the data"):
        records_fingerprint(tmp_path)


@pytest.mark.parametrize("content", [*CONTENTS, b'{"name": "/////////////////////"}'])
@pytest.mark.parametrize("name", ["dataset_info.json", "manifest.json"])
def test_statistics_that_are_missing_beside_a_damaged_description_are_a_line(
    tmp_path, name, content
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="cannot be read|statistics_16.npz is missing") as error:
        load_statistics(tmp_path, 16)
    assert "\n" not in str(error.value)


@pytest.fixture
def changed(fractals_dir, tmp_path):
    """Change the first shard of a copy's training split by a function; returns the copy."""

    def change(how):
        shutil.copytree(fractals_dir, tmp_path / "data")
        how(min(tmp_path.glob(f"data/{FRACTALS}/*/*-train.array_record-*")))
        return tmp_path / "data"

    return change


def cut_an_image(shard):
    """Write a shard again, whole but for its tenth image."""
    reader = ArrayRecordReader(str(shard))
    records = reader.read_all()
    reader.close()
    example = tf_example_pb2.Example.FromString(records[10])
    image = example.features.feature["image"].bytes_list.value
    image[0] = image[0][:500]
    records[10] = example.SerializeToString()
    write(shard, records)


def write_no_examples(shard):
    reader = ArrayRecordReader(str(shard))
    records = reader.read_all()
    reader.close()
    write(shard, [b"", b"\xff" * 9, *records[2:]])


def write(shard, records):
    writer = ArrayRecordWriter(str(shard), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def flip_bytes(shard):
    data = bytearray(shard.read_bytes())
    data[20_000:20_010] = bytes(10)
    shard.write_bytes(data)


def empty(shard):
    shard.write_bytes(b"")


@pytest.mark.parametrize(
    ("split", "name"), [("train", "f0007_19.JPEG"), ("validation", "fractals_val_00000016.JPEG")]
)
def test_a_damaged_record_ends_a_run_in_a_line_that_names_file_and_record(
    fractals_dir, tmp_path, split, name
):
    shutil.copytree(fractals_dir, tmp_path / "data")
    (shard,) = tmp_path.glob(f"data/{FRACTALS}/*/*-{split}.array_record-*")
    cut_an_image(shard)
    training = options(tmp_path / "data", tmp_path / "run")  # An epoch and more.
    ((code, _, err),) = finish([start(training)])
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith(
        f"error: example 10 ({name}) of the {split} split in {shard.parent} cannot be read: "
        f"record 10 of {shard.name}: not a readable image"
    )


def halve(shard):
    """Write a shard again as two, of 120 records and the rest; return the second."""
    reader = ArrayRecordReader(str(shard))
    records = reader.read_all()
    reader.close()
    shard.unlink()
    names = [shard.name.replace("00000-of-00001", f"0000{n}-of-00002") for n in range(2)]
    write(shard.with_name(names[0]), records[:120])
    write(shard.with_name(names[1]), records[120:])
    path = shard.with_name("dataset_info.json")
    info = json.loads(path.read_text())
    train = next(split for split in info["splits"] if split["name"] == "train")
    train["shardLengths"] = ["120", "80"]
    path.write_text(json.dumps(info))
    return shard.with_name(names[1])


def test_a_damaged_record_is_named_by_its_place_in_its_own_file(changed):
    data_dir = changed(lambda shard: cut_an_image(halve(shard)))
    pixels = DecodedImages(Records(data_dir, FRACTALS, "train"), 96)
    image, label = np.empty((1, 96, 96, 3), np.uint8), np.empty(1, np.int32)
    with pytest.raises(UserError, match=r"example 130 .*: record 10 of .*-00001-of-00002: not a"):
        pixels.read_into([130], image, label)


@pytest.mark.parametrize("how", [cut_an_image, write_no_examples, flip_bytes, empty])
def test_a_damaged_record_ends_training_in_a_line(changed, config, how):
    config.data.dir = str(changed(how))
    config.train.steps = 20  # An epoch and more.
    run = build_run(config)
    with pytest.raises(UserError) as error:
        list(read_ahead(run.training, 0, threads=2))
    message = str(error.value)
    assert re.search(r"^example \d+ .*of the train split in .*cannot be read: ", message)
    assert FRACTALS in message
    assert "restore the data set from a copy, or remove that directory and prepare it" in message
    assert "\n" not in message


def test_an_image_that_cannot_be_decoded_is_named_by_its_file(changed):
    records = Records(changed(cut_an_image), FRACTALS, "train")
    name = re.escape(records[10]["file_name"].decode())
    with pytest.raises(UserError, match=rf"example 10 \({name}\) of the train split"):
        compute_statistics(DecodedImages(records, 96))
    with pytest.raises(UserError, match="example 10 "):
        decoding_speed(DecodedImages(records, 96), batch_size=1, threads=2, seconds=5)


def test_training_refuses_images_above_the_configs_limit(config):
    config.data.max_megapixels = 0.009
    run = build_run(config)
    with pytest.raises(UserError, match="96x96 pixels are more than 0.009 .*raise max_megapixels"):
        next(read_ahead(run.training, 0, threads=2))
