import hashlib
import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from made_files import CAT, DOG, TENCH, jpeg, tar, training_images, validation_images, write_source
from PIL import Image

from alexnet_jax.data.builders.imagenet2012 import validation_labels
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

SKIP = {"image": tfds.decode.SkipDecoding()}


def rows(data_dir, split):
    records = Records(data_dir, "imagenet2012", split)
    return {
        row["file_name"].decode(): (records.class_names[row["label"]], row["image"])
        for row in records.read(range(len(records)))
    }


def test_training_images_keep_their_bytes_and_their_synset(imagenet_dir):
    expected = {
        name: (synset, data)
        for synset, files in training_images().items()
        for name, data in files.items()
    }
    assert rows(imagenet_dir, "train") == expected


def test_every_tfds_user_can_read_it_by_its_official_name(imagenet_dir):
    source = tfds.builder("imagenet2012", data_dir=imagenet_dir).as_data_source(
        "train", decoders=SKIP
    )
    assert sorted(row["file_name"].decode() for row in source) == sorted(
        name for files in training_images().values() for name in files
    )


def test_examples_lie_in_tfds_order(imagenet_dir):
    records = Records(imagenet_dir, "imagenet2012", "train")
    names = [row["file_name"] for row in records.read(range(len(records)))]
    assert names == sorted(names, key=lambda name: hashlib.md5(b"train" + name).hexdigest())


def test_a_validation_label_goes_with_the_number_in_the_name(imagenet_dir):
    labels = validation_labels()
    found = {name: synset for name, (synset, _) in rows(imagenet_dir, "validation").items()}
    assert found == {f"ILSVRC2012_val_{n:08}.JPEG": labels[n - 1] for n in (1, 2, 77, 50_000)}


def test_the_labels_are_those_of_2012():
    # The first and the last validation image of ILSVRC-2012: a sea snake and a kite.
    labels = validation_labels()
    assert (len(labels), labels[0], len(set(labels))) == (50_000, "n01751748", 1_000)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_one_archive_alone_makes_one_split(prepare_imagenet, split):
    images = {"train": training_images(1), "validation": validation_images([5])}
    directory = prepare_imagenet(**{split: images[split]})
    assert list(tfds.builder_from_directory(str(directory)).info.splits) == [split]


def test_the_cmyk_images_are_stored_as_rgb_jpegs(prepare_imagenet, tmp_path):
    name = "n02123045_1.JPEG"
    cmyk = jpeg(1, mode="CMYK", quality=95)
    listed = "n03529860_11437.JPEG"
    prepare_imagenet({CAT: {name: jpeg(0)}, "n03529860": {listed: cmyk}})
    stored = rows(tmp_path / "data", "train")[listed][1]
    assert Image.open(io.BytesIO(stored)).mode == "RGB"
    difference = read_image(stored, 30).astype(int) - read_image(cmyk, 30)
    assert np.abs(difference).mean() < 1.5


def test_the_png_named_jpeg_is_stored_as_a_jpeg(prepare_imagenet, tmp_path):
    png = io.BytesIO()
    Image.open(io.BytesIO(jpeg(3))).save(png, "PNG")
    prepare_imagenet({"n02105855": {"n02105855_2933.JPEG": png.getvalue()}})
    stored = rows(tmp_path / "data", "train")["n02105855_2933.JPEG"][1]
    assert Image.open(io.BytesIO(stored)).format == "JPEG"


def test_no_archive_is_a_users_error(prepare_imagenet):
    with pytest.raises(
        UserError, match=r"none of ILSVRC2012_img_train\.tar, ILSVRC2012_img_val\.tar is in"
    ):
        prepare_imagenet()


def test_an_unknown_synset_is_named(prepare_imagenet):
    with pytest.raises(UserError, match=r"n00000001\.tar in ILSVRC2012_img_train\.tar"):
        prepare_imagenet({"n00000001": {"n00000001_1.JPEG": jpeg()}})


@pytest.mark.parametrize("name", ["cat.JPEG", "ILSVRC2012_val_00050001.JPEG", "val_0.JPEG"])
def test_a_validation_name_without_a_usable_number_is_named(prepare_imagenet, name):
    with pytest.raises(UserError, match=rf"{name} in ILSVRC2012_img_val\.tar"):
        prepare_imagenet(validation={name: jpeg()})


def test_two_images_of_one_name_are_refused(prepare_imagenet):
    with pytest.raises(UserError, match=r"same name, 'n1\.JPEG'"):
        prepare_imagenet({CAT: {"n1.JPEG": jpeg(1)}, DOG: {"n1.JPEG": jpeg(2)}})


@pytest.mark.parametrize("kept", [0.2, 0.5])
def test_an_archive_cut_short_is_named_before_the_work_starts(tmp_path, kept):
    source = write_source(tmp_path / "source", training_images(20))
    path = source / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    size = path.stat().st_size
    with pytest.raises(UserError, match=rf"{path} is cut short: after {size:,} bytes"):
        prepare_dataset(Request("imagenet2012", tmp_path / "data", source))
    assert not list((tmp_path / "data" / "imagenet2012").glob("*"))


def test_a_class_archive_cut_short_is_named_with_how_far_it_got(tmp_path):
    images = training_images(20)
    source = write_source(tmp_path / "source")
    cut = tar(images[DOG])[:5_000]
    files = {f"{CAT}.tar": tar(images[CAT]), f"{DOG}.tar": cut, f"{TENCH}.tar": tar(images[TENCH])}
    (source / "ILSVRC2012_img_train.tar").write_bytes(tar(files))
    expected = rf"{DOG}\.tar of ILSVRC2012_img_train\.tar is cut short .* after 2\d images"
    with pytest.raises(UserError, match=expected):
        prepare_dataset(Request("imagenet2012", tmp_path / "data", source))
