"""ILSVRC-2010 from archives made as the official ones are."""

import gzip
from collections import Counter

import pytest
import tensorflow_datasets as tfds
from made_files import jpeg, tar

from alexnet_jax.data.builders import imagenet2010
from alexnet_jax.data.builders.imagenet2010 import Imagenet2010
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.imagenet.names import imagenet2010_words, imagenet_words
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

FRIES, FIG_TREE, WASHER = "n07711080", "n12401684", "n04554684"  # 1, one of 2010 only, 1000.
TRUTH = {
    split: [1 + 7 * n % 1000 for n in range(count)]
    for split, count in (("validation", 50_000), ("test", 150_000))
}
VALIDATION_TRUTH, TEST_TRUTH = imagenet2010._GROUND_TRUTH.values()


def lines(numbers):
    return "\n".join(map(str, numbers)).encode()


def devkit(numbers):
    """The development kit: the labels are not at its top."""
    files = {"readme.txt": b"", f"data/{VALIDATION_TRUTH}": lines(numbers), "data/meta.mat": b""}
    return gzip.compress(tar({f"devkit-1.0/{name}": data for name, data in files.items()}))


def training(classes):
    """The training archive's bytes; it has the archives of the classes in a folder."""
    return tar({f"train/{synset}.tar": tar(files) for synset, files in classes.items()})


TRAIN = {
    synset: {f"{synset}_{n}.JPEG": jpeg(10 * i + n) for n in range(2)}
    for i, synset in enumerate((FRIES, FIG_TREE, WASHER))
}
VALIDATION = {f"val/ILSVRC2010_val_{n:08}.JPEG": jpeg(n) for n in (1, 2, 50_000)}
TEST = {f"test/ILSVRC2010_test_{n:08}.JPEG": jpeg(n) for n in (1, 3, 77, 150_000)}


@pytest.fixture
def source(tmp_path):
    """A folder with all files of the challenge but the patches."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "ILSVRC2010_images_train.tar").write_bytes(training(TRAIN))
    (folder / "ILSVRC2010_images_val.tar").write_bytes(tar(VALIDATION))
    (folder / "ILSVRC2010_images_test.tar").write_bytes(tar(TEST))
    (folder / "ILSVRC2010_devkit-1.0.tar.gz").write_bytes(devkit(TRUTH["validation"]))
    (folder / TEST_TRUTH).write_bytes(lines(TRUTH["test"]))
    return folder


def prepare(source, tmp_path):
    return prepare_dataset(Request("imagenet2010", tmp_path / "data", source, image_size=16))


def rows(tmp_path, split):
    records = Records(tmp_path / "data", "imagenet2010", split)
    return {
        row["file_name"].decode(): (records.class_names[row["label"]], row["label"], row["image"])
        for row in records.read(range(len(records)))
    }


def test_training_images_keep_their_bytes_and_their_synset(source, tmp_path):
    prepare(source, tmp_path)
    found = {name: (synset, data) for name, (synset, _, data) in rows(tmp_path, "train").items()}
    assert found == {
        name: (synset, data) for synset, files in TRAIN.items() for name, data in files.items()
    }


@pytest.mark.parametrize(("split", "short", "numbers"), [
    ("validation", "val", (1, 2, 50_000)), ("test", "test", (1, 3, 77, 150_000)),
])  # fmt: skip
def test_a_label_is_the_id_at_the_images_number_less_one(source, tmp_path, split, short, numbers):
    prepare(source, tmp_path)
    found = {name: label for name, (_, label, _) in rows(tmp_path, split).items()}
    assert found == {f"ILSVRC2010_{short}_{n:08}.JPEG": TRUTH[split][n - 1] - 1 for n in numbers}


def test_the_classes_are_in_the_order_of_the_development_kit():
    # From its data/meta.mat: IDs 1, 2, 999, 1000.
    names = Imagenet2010.class_names
    assert len(set(names)) == 1000
    assert (names[0], names[1], names[998], names[999]) == (
        "n07711080", "n07711569", "n04070727", "n04554684",
    )  # fmt: skip


def test_classes_of_both_challenges_have_the_same_words():
    ours, theirs = imagenet2010_words(), imagenet_words()
    common = ours.keys() & theirs.keys()
    assert len(common) == 640
    assert {synset: ours[synset] for synset in common} == {key: theirs[key] for key in common}


def test_the_labels_may_lie_beside_the_archives(source, tmp_path):
    (source / "ILSVRC2010_devkit-1.0.tar.gz").unlink()
    (source / VALIDATION_TRUTH).write_bytes(lines(TRUTH["validation"]))
    prepare(source, tmp_path)
    counts = Counter(label for _, label, _ in rows(tmp_path, "validation").values())
    assert counts == Counter(TRUTH["validation"][n - 1] - 1 for n in (1, 2, 50_000))


def test_the_test_archive_alone_makes_the_test_split(source, tmp_path):
    for name in ("train", "val"):
        (source / f"ILSVRC2010_images_{name}.tar").unlink()
    (source / "ILSVRC2010_devkit-1.0.tar.gz").unlink()
    directory = prepare(source, tmp_path)
    assert list(tfds.builder_from_directory(str(directory)).info.splits) == ["test"]


def test_an_archive_that_came_later_is_not_passed_over(source, tmp_path):
    test = source / "ILSVRC2010_images_test.tar"
    data = test.read_bytes()
    test.unlink()
    prepare(source, tmp_path)
    test.write_bytes(data)
    with pytest.raises(UserError, match="was made before and has no test split"):
        prepare(source, tmp_path)


def test_patches_replace_the_blank_images_of_every_split(source, tmp_path):
    names = [f"train/{FRIES}_1.JPEG", "val/ILSVRC2010_val_00000002.JPEG"]
    patches = {name: jpeg(900 + n) for n, name in enumerate(names)}
    files = {f"patch_images/{name}": data for name, data in patches.items()}
    (source / "patch_images.tar").write_bytes(tar({"patch_images/README.txt": b"", **files}))
    prepare(source, tmp_path)
    assert rows(tmp_path, "train")[f"{FRIES}_1.JPEG"][2] == patches[names[0]]
    assert rows(tmp_path, "train")[f"{FRIES}_0.JPEG"][2] == TRAIN[FRIES][f"{FRIES}_0.JPEG"]
    stored = rows(tmp_path, "validation")["ILSVRC2010_val_00000002.JPEG"]
    assert stored[1:] == (TRUTH["validation"][1] - 1, patches[names[1]])


def test_a_compressed_image_is_unpacked(source, tmp_path):
    compressed = {FRIES: {f"{FRIES}_0.JPEG": gzip.compress(jpeg(5))}}
    (source / "ILSVRC2010_images_train.tar").write_bytes(training(compressed))
    prepare(source, tmp_path)
    assert rows(tmp_path, "train")[f"{FRIES}_0.JPEG"][2] == jpeg(5)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (gzip.compress(jpeg(5))[:-8] + bytes(8), "compressed, and damaged"),
        (gzip.compress(bytes(70_000_000)), "unpacks to more than 67,108,864 bytes"),
        (gzip.compress(jpeg(5))[:-200], "not a readable image"),
    ],
    ids=["damaged", "bomb", "cut_short"],
)
def test_a_bad_compressed_image_is_named_and_left_out(source, tmp_path, capsys, data, problem):
    files = {FRIES: {f"{FRIES}_0.JPEG": data, f"{FRIES}_1.JPEG": jpeg(1)}}
    (source / "ILSVRC2010_images_train.tar").write_bytes(training(files))
    prepare(source, tmp_path)
    assert list(rows(tmp_path, "train")) == [f"{FRIES}_1.JPEG"]
    assert f"{FRIES}_0.JPEG in {FRIES}.tar of ILSVRC2010_images_train.tar: {problem}" in (
        capsys.readouterr().err
    )


def test_an_unknown_synset_is_named(source, tmp_path):
    # A class of ILSVRC-2012 that 2010 does not have.
    only_2012 = next(synset for synset in imagenet_words() if synset not in imagenet2010_words())
    (source / "ILSVRC2010_images_train.tar").write_bytes(training({only_2012: {"a": jpeg()}}))
    with pytest.raises(UserError, match=rf"{only_2012}\.tar in .* 1,000 synsets of ILSVRC-2010"):
        prepare(source, tmp_path)


def test_missing_labels_of_test_images_are_named_before_the_work_starts(source, tmp_path):
    (source / TEST_TRUTH).unlink()
    with pytest.raises(UserError, match=rf"put {TEST_TRUTH} into .*, or move the archive away"):
        prepare(source, tmp_path)
    assert not list((tmp_path / "data" / "imagenet2010").glob("*"))


def test_a_missing_development_kit_is_named(source, tmp_path):
    (source / "ILSVRC2010_devkit-1.0.tar.gz").unlink()
    with pytest.raises(UserError, match=r"labels of ILSVRC2010_images_val\.tar are missing"):
        prepare(source, tmp_path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (TRUTH["test"][:-1], "holds 149,999 labels, not 150,000"),
        ([*TRUTH["test"][:-1], 1001], "label 150,000 is b'1001', not one of 1 to 1,000"),
        ([0, *TRUTH["test"][1:]], "label 1 is b'0', not one of 1 to 1,000"),
        (["n07711080", *TRUTH["test"][1:]], "label 1 is b'n07711080'"),
    ],
    ids=["one_less", "too_large", "zero", "no_number"],
)
def test_bad_labels_are_named(source, tmp_path, numbers, message):
    (source / TEST_TRUTH).write_bytes(lines(numbers))
    with pytest.raises(UserError, match=f"{TEST_TRUTH}.*{message}"):
        prepare(source, tmp_path)


def test_a_development_kit_cut_short_is_named(source, tmp_path):
    path = source / "ILSVRC2010_devkit-1.0.tar.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=rf"{path} is cut short or damaged"):
        prepare(source, tmp_path)


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_an_archive_cut_short_is_named_before_the_work_starts(source, tmp_path, name):
    path = source / f"ILSVRC2010_images_{name}.tar"
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(UserError, match=rf"{path} is cut short: after 2,000 bytes"):
        prepare(source, tmp_path)
    assert not list((tmp_path / "data" / "imagenet2010").glob("*"))


def test_no_archive_is_a_users_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"none of ILSVRC2010_images_train\.tar, ILSVRC2010_images"):
        prepare(tmp_path / "empty", tmp_path)


def test_the_next_command_names_the_data_set(source, tmp_path, capsys):
    prepare(source, tmp_path)
    out = capsys.readouterr().out
    assert "6 train, 3 validation, 4 test images" in out
    assert "--config=configs/imagenet.py" in out and "--config.data.name=imagenet2010" in out
