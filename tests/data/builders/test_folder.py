import io
import os

import numpy as np
import pytest
from made_files import jpeg
from PIL import Image

from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError


def encoded(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def rgb(seed=0, width=20, height=12):
    return Image.open(io.BytesIO(jpeg(seed, width, height))).convert("RGB")


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(rgb(4, 40, 20), "JPEG", exif=exif)


ODD = {
    "1x1.png": encoded(rgb(0, 1, 1), "PNG"),
    "20000x20.jpg": encoded(rgb(1, 20_000, 20), "JPEG"),
    "gray.JPG": jpeg(2, mode="L"),
    "16bit.png": encoded(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG"),
    "palette.gif": encoded(rgb(3).quantize(16), "GIF"),
    "cmyk.jpeg": jpeg(4, mode="CMYK"),
    "rotated.jpg": rotated(),
    "alpha.webp": encoded(rgb(5).convert("RGBA"), "WEBP"),
    "plain.bmp": encoded(rgb(6), "BMP"),
    "UPPER.TIFF": encoded(rgb(7), "TIFF"),
}


@pytest.fixture
def prepare(image_folder, tmp_path):
    def run(files, split="train", **request):
        source = image_folder(files)
        prepare_dataset(Request("folder", tmp_path / "data", source, image_size=8, **request))
        return Records(tmp_path / "data", "folder", split)

    return run


def rows(records):
    return {row["file_name"].decode(): row for row in records.read(range(len(records)))}


@pytest.mark.parametrize("name", ODD)
def test_any_image_is_stored_as_it_is(prepare, name):
    stored = rows(prepare({f"train/odd/{name}": ODD[name]}))[f"odd/{name}"]["image"]
    assert stored == ODD[name]
    assert read_image(stored, 8).shape == (8, 8, 3)


def test_labels_are_the_sorted_names_of_the_class_folders(prepare):
    records = prepare({f"train/{name}/1.jpg": jpeg() for name in ("dog", "cat", "Über alles")})
    assert records.class_names == ["cat", "dog", "Über alles"]
    labels = {name: records.class_names[row["label"]] for name, row in rows(records).items()}
    assert labels == {"cat/1.jpg": "cat", "dog/1.jpg": "dog", "Über alles/1.jpg": "Über alles"}


def test_validation_may_lack_a_class(prepare):
    files = {"train/cat/1.jpg": jpeg(), "train/dog/1.jpg": jpeg(), "validation/dog/2.jpg": jpeg()}
    assert [row["label"] for row in rows(prepare(files, "validation")).values()] == [1]


def test_a_class_known_to_validation_only_is_refused(prepare):
    with pytest.raises(UserError, match="has the classes emu, which"):
        prepare({"train/cat/1.jpg": jpeg(), "validation/emu/2.jpg": jpeg()})


def test_hidden_files_are_passed_over_and_others_reported_once(prepare, capsys):
    files = {"train/cat/1.jpg": jpeg(), "train/cat/.DS_Store": b"x", "train/.git/1.jpg": b"x"}
    records = prepare(files | {"train/cat/notes.txt": b"x", "train/cat/more/2.jpg": jpeg()})
    assert list(rows(records)) == ["cat/1.jpg"]
    assert "left out: 2 that are no images by their names" in capsys.readouterr().err


def test_a_missing_split_is_just_not_made(prepare, capsys):
    assert len(prepare({"train/cat/1.jpg": jpeg()})) == 1
    assert "no validation split" in capsys.readouterr().err


def test_neither_split_shows_the_layout(prepare):
    with pytest.raises(UserError, match=r"train/<class>/\*\.jpg and validation/<class>/\*\.jpg"):
        prepare({"cat/1.jpg": jpeg()})


def test_train_without_class_folders_is_refused(prepare):
    with pytest.raises(UserError, match="has no folders; each class needs one"):
        prepare({"train/1.jpg": jpeg()})


def test_an_empty_class_is_named(prepare):
    with pytest.raises(UserError, match="dog holds no images"):
        prepare({"train/cat/1.jpg": jpeg(), "train/dog/notes.txt": b"x"})


def test_a_bad_image_is_named_and_left_out(prepare, capsys):
    records = prepare({"train/cat/1.jpg": jpeg(), "train/cat/2.jpg": jpeg()[:-300]})
    assert list(rows(records)) == ["cat/1.jpg"]
    assert "train/cat/2.jpg: not a readable image" in capsys.readouterr().err


def test_a_name_that_is_no_utf8_is_stored_readably(prepare, image_folder):
    source = image_folder({"train/cat/1.jpg": jpeg()})
    (source / "train" / "cat" / os.fsdecode(b"\xff.jpg")).write_bytes(jpeg(2))
    assert set(rows(prepare({}))) == {"cat/1.jpg", r"cat/\xff.jpg"}
