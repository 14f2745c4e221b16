import resource

import pytest
from made_files import CAT, DOG, TENCH, training_images

from alexnet_jax.data.records import Records, dataset_directory
from alexnet_jax.errors import UserError


@pytest.fixture(scope="module")
def records(imagenet_dir):
    return Records(imagenet_dir, "imagenet2012", "train")


def test_length_is_the_splits(records):
    assert len(records) == 12


def test_any_index_in_any_order_gives_the_same_example(records):
    straight = list(records.read(range(12)))
    assert list(records.read([7, 0, 7, 11])) == [
        straight[7],
        straight[0],
        straight[7],
        straight[11],
    ]


def test_images_come_as_their_bytes_with_their_labels(records):
    expected = {
        name.encode(): (data, synset)
        for synset, files in training_images().items()
        for name, data in files.items()
    }
    for row in records.read(range(12)):
        assert (row["image"], records.class_names[row["label"]]) == expected[row["file_name"]]


def test_the_classes_are_imagenets(records):
    assert records.num_classes == len(records.class_names) == 1_000
    assert {CAT, DOG, TENCH} < set(records.class_names)
    assert records.class_names.index(TENCH) == 0


def test_a_missing_data_set_tells_the_command(tmp_path):
    command = f"prepare --dataset=folder --source=DIR --data_dir={tmp_path}"
    with pytest.raises(UserError, match=command):
        Records(tmp_path, "folder", "train")


def test_an_unknown_data_set_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="no data set 'imgnet' .*imagenet2012, folder, fractals"):
        Records(tmp_path, "imgnet", "train")


def test_a_missing_split_names_those_there_are(imagenet_dir):
    with pytest.raises(UserError, match=r"no split 'test', only \['train', 'validation'\]"):
        Records(imagenet_dir, "imagenet2012", "test")


def test_the_newest_version_is_found_by_number(tmp_path):
    for version in ("1.9.0", "1.10.0", "incomplete.ABC_2.0.0"):
        directory = tmp_path / "folder" / version
        directory.mkdir(parents=True)
        (directory / "dataset_info.json").touch()
    assert dataset_directory(tmp_path, "folder") == tmp_path / "folder" / "1.10.0"


def test_more_files_may_be_open_than_imagenet_has_shards(imagenet_dir):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, before[1]))
    try:
        Records(imagenet_dir, "imagenet2012", "train")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft >= min(2_048, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
