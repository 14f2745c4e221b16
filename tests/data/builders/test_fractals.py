import dataclasses
import io

import pytest
from PIL import Image

from alexnet_jax.data.builders import fractals
from alexnet_jax.data.builders.fractals import Fractals, FractalsConfig
from alexnet_jax.data.fractals.drawing import Instance, Picture, draw_jpegs
from alexnet_jax.data.fractals.ifs import find_systems
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError
from alexnet_jax.system.progress import Progress

TINY = FractalsConfig(
    name="tiny",
    num_classes=3,
    train_per_class=5,
    validation_per_class=2,
    max_similarity=0.9,
    picture=Picture(40, 32, upright_fraction=0.0, texture=(8.0, 24.0), jpeg_quality=90),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A tiny data set's folder."""
    directory = tmp_path_factory.mktemp("data")
    Fractals(config=TINY, data_dir=directory).download_and_prepare()
    return directory


def read_all(directory, split):
    records = Records(directory, "fractals/tiny", split)
    examples = list(records.read(range(len(records))))
    return {example["file_name"].decode(): example for example in examples}


def test_names_of_training_images_hold_their_class(prepared):
    examples = read_all(prepared, "train")

    assert set(examples) == {f"f{label:04}_{n}.JPEG" for label in range(3) for n in range(5)}
    assert all(int(name[1:5]) == example["label"] for name, example in examples.items())


def test_validation_images_are_numbered_from_one(prepared):
    examples = read_all(prepared, "validation")

    assert set(examples) == {f"fractals_val_{n:08}.JPEG" for n in range(1, 7)}
    assert sorted(example["label"] for example in examples.values()) == [0, 0, 1, 1, 2, 2]


def test_label_names_count_from_zero(prepared):
    names = Records(prepared, "fractals/tiny", "train").class_names

    assert names == ["fractal_0000", "fractal_0001", "fractal_0002"]


def test_images_are_jpeg_files_of_the_configs_size(prepared):
    for example in read_all(prepared, "train").values():
        image = Image.open(io.BytesIO(example["image"]))
        assert (image.format, image.size) == ("JPEG", (40, 32))


def test_no_image_occurs_twice(prepared):
    images = [
        example["image"]
        for split in ("train", "validation")
        for example in read_all(prepared, split).values()
    ]

    assert len(set(images)) == len(images) == 21


def test_progress_reaches_the_number_of_images_of_each_split(tmp_path, monkeypatch):
    made = {}

    class Counted(Progress):
        def __init__(self, what, total, unit):
            super().__init__(what, total, unit)
            made[what] = [total, 0]

        def advance(self, amount):
            made[self.what][1] += amount

    monkeypatch.setattr(fractals, "Progress", Counted)
    Fractals(config=TINY, data_dir=tmp_path).download_and_prepare()

    assert made == {"drawing train": [15, 15], "drawing validation": [6, 6]}


def test_more_images_per_class_leave_the_first_as_they_were(prepared, tmp_path):
    # The name counts for nothing either; Records asks for this one.
    larger = dataclasses.replace(TINY, train_per_class=8, validation_per_class=3)
    Fractals(config=larger, data_dir=tmp_path).download_and_prepare()

    for split, number in (("train", 15), ("validation", 6)):
        few, many = read_all(prepared, split), read_all(tmp_path, split)
        assert len(many) > len(few) == number
        assert all(many[name]["image"] == few[name]["image"] for name in few)


def test_imagenet_like_has_the_numbers_of_imagenet():
    config = Fractals.find_config("imagenet_like")

    assert (config.num_classes, config.train_per_class, config.validation_per_class) == (
        1000,
        1281,
        50,
    )


def test_files_are_as_large_as_imagenets():
    config = Fractals.find_config("imagenet_like")
    systems = find_systems(fractals._SEED, 10, config.max_similarity)
    images = draw_jpegs(
        [
            Instance(system, config.picture, (label, number))
            for label, system in enumerate(systems)
            for number in range(3)
        ]
    )

    assert 100e3 < sum(map(len, images)) / len(images) < 120e3


def test_demo_is_the_size_that_the_readme_promises():
    config = Fractals.find_config("demo")

    assert config.num_classes * config.train_per_class == 5_000
    assert config.num_classes * config.validation_per_class == 1_000
    assert (config.picture.width, config.picture.height) == (96, 96)


def test_number_per_class_replaces_the_default_and_names_the_variant():
    config = Fractals.find_config("imagenet_like", images_per_class=26)

    assert (config.name, config.train_per_class) == ("imagenet_like_26", 26)
    assert config.validation_per_class == 2  # 26 * 50 / 1281, rounded up.
    assert Fractals.find_config("imagenet_like").train_per_class == 1281


def test_variant_is_a_data_set_of_its_own(tmp_path):
    builder = Fractals(config=Fractals.find_config("demo", 5), data_dir=tmp_path)

    assert builder.data_path == tmp_path / "fractals" / "demo_5" / "1.0.0"


def test_default_number_per_class_is_the_config_itself():
    assert Fractals.find_config("demo", 500) is Fractals.find_config("demo")


def test_unknown_config_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'demmo'.*demo, few, imagenet_like"):
        Fractals.find_config("demmo")


def test_no_images_per_class_is_refused():
    with pytest.raises(UserError, match="images_per_class=0"):
        Fractals.find_config("demo", 0)
    with pytest.raises(UserError, match="images_per_class=0"):
        Fractals.find_config("demo_0")


def test_a_number_behind_the_name_is_that_of_images():
    assert Fractals.find_config("demo_50").train_per_class == 50
