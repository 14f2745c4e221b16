import pytest
from made_files import CAT, jpeg, training_images

from alexnet_jax.data.builders.checking import ImageCheck, SourceImage
from alexnet_jax.data.builders.imagenet2012 import _to_rgb_jpeg
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

BAD = {
    "truncated.JPEG": jpeg(5)[:-200],
    "empty.JPEG": b"",
    "page.JPEG": b"<html>404</html>",
    "no_pixels.JPEG": jpeg(5)[:100],
}


def image(name, data):
    return SourceImage(name, 0, f"{name} in a.tar", data)


def test_good_images_keep_their_order():
    images = [image(str(n), jpeg(n, 8 + 37 * (n % 5), 8)) for n in range(60)]
    passed = [good.file_name for good, _ in ImageCheck(0).readable(images)]
    assert passed == [str(n) for n in range(60)]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_named_and_left_out(name, capsys):
    check = ImageCheck(max_bad_images=1)
    passed = list(check.readable([image("1", jpeg(1)), image(name, BAD[name])]))
    assert [good.file_name for good, _ in passed] == ["1"]
    assert capsys.readouterr().err.startswith(f"left out: {name} in a.tar: ")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    check = ImageCheck(max_bad_images=1)
    assert not list(check.readable([image("1", tmp_path / "none.jpg")]))
    assert check.bad == ["1 in a.tar: cannot be read: No such file or directory"]


def test_as_many_bad_images_as_allowed_are_left_out():
    check = ImageCheck(max_bad_images=3)
    assert not list(check.readable([image(str(n), b"") for n in range(3)]))
    assert len(check.bad) == 3


def test_one_more_than_allowed_stops():
    images = (image(str(n), b"") for n in range(100))
    with pytest.raises(UserError, match="4 images cannot be read, --max_bad_images=3"):
        list(ImageCheck(max_bad_images=3).readable(images))


def test_training_never_meets_a_bad_image(prepare_imagenet, tmp_path, capsys):
    train = training_images(2)
    train[CAT] |= BAD
    prepare_imagenet(train)
    records = Records(tmp_path / "data", "imagenet2012", "train")
    names = {row["file_name"].decode() for row in records.read(range(len(records)))}
    assert names == {name for files in training_images(2).values() for name in files}
    assert f"truncated.JPEG in {CAT}.tar of ILSVRC2012_img_train.tar: " in capsys.readouterr().err


def test_too_many_bad_images_leave_no_data_set(prepare_imagenet, tmp_path):
    train = training_images(2)
    train[CAT] |= BAD
    with pytest.raises(UserError, match="--max_bad_images=2"):
        prepare_imagenet(train, max_bad_images=2)
    assert not list((tmp_path / "data" / "imagenet2012").iterdir())


def test_a_limit_on_megapixels_leaves_larger_images_out(prepare_imagenet, capsys):
    train = training_images(2)
    train[CAT]["large.JPEG"] = jpeg(5, 100, 80)
    directory = prepare_imagenet(train, max_megapixels=0.0079)
    assert len(Records(directory.parents[1], "imagenet2012", "train")) == 6
    assert "large.JPEG in n02123045.tar" in capsys.readouterr().err


def test_the_limit_holds_for_images_that_are_converted_too():
    with pytest.raises(ValueError, match=r"100x80 pixels are more than 0\.0079 megapixels"):
        _to_rgb_jpeg(jpeg(5, 100, 80, "CMYK"), 0.0079)


def test_the_limit_holds_for_files_in_folders_too(image_folder, tmp_path, capsys):
    source = image_folder({"train/a/1.png": jpeg(1), "train/b/2.jpg": jpeg(2, 100, 80)})
    prepare_dataset(Request("folder", tmp_path, source, image_size=16, max_megapixels=0.0079))
    assert "2.jpg: 100x80 pixels are more than 0.0079 megapixels" in capsys.readouterr().err
