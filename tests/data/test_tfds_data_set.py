"""Data sets that somebody else prepared with TFDS."""

import io
import os
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from short_run import short_config

from alexnet_jax.data.builders.preparation import Request, prepare_dataset, prepare_store
from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.statistics_file import add_statistics, make_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import has_statistics, load_statistics
from alexnet_jax.errors import UserError
from alexnet_jax.runs.run import build_run
from alexnet_jax.system.data_dir_lock import data_dir_lock

SIZE = 24


def png(seed, mode="RGB"):
    channels = {"RGB": (3,), "L": ()}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, *channels), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def prepare_with_tfds(data_dir, features, examples, file_format="array_record"):
    """Prepare {split: examples} as TFDS does for any builder; returns the directory."""

    class Shapes(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.2.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small")]  # noqa: RUF012
        name = "shapes"
        pkg_dir_path = data_dir

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager):
            return {split: self._generate_examples(rows) for split, rows in examples.items()}

        def _generate_examples(self, rows):
            yield from enumerate(rows)

    tfds.disable_progress_bar()
    builder = Shapes(data_dir=str(data_dir), file_format=file_format)
    builder.download_and_prepare(download_dir=str(data_dir / "downloads"))
    return data_dir / "shapes" / "small" / "1.2.0"


FEATURES = {
    "Label": tfds.features.ClassLabel(names=["circle", "square", "star"]),
    "id": tfds.features.Text(),
    "Image": tfds.features.Image(),
}
GRAY = FEATURES | {"Image": tfds.features.Image(shape=(None, None, 1))}


def rows(count, mode="RGB"):
    return [{"id": str(n), "Image": png(n, mode), "Label": n % 3} for n in range(count)]


def splits(mode="RGB"):
    return {"train": rows(12, mode), "test": rows(6, mode)}


@pytest.fixture(params=["RGB", "L"])
def shapes(request, tmp_path):
    features = GRAY if request.param == "L" else FEATURES
    prepare_with_tfds(tmp_path, features, splits(request.param))
    return tmp_path


def config_for(data_dir):
    config = short_config(data_dir)
    config.data.update(name="shapes/small", image_size=80, crop_size=80)
    config.model.num_classes = 3
    config.train.batch_size = config.eval.batch_size = 4
    return config


def test_images_classes_and_names_are_those_of_its_makers(shapes):
    records = Records(shapes, "shapes/small", "train")
    assert records.class_names == ["circle", "square", "star"]
    images = {row["Image"]: row["Label"] for mode in ("RGB", "L") for row in rows(12, mode)}
    read = [records[n] for n in range(len(records))]
    assert len(read) == 12
    assert all(images[example["image"]] == example["label"] for example in read)


def test_prepare_computes_its_statistics_and_says_how_to_train(shapes, capsys):
    prepare_dataset(Request("tfds:shapes/small", shapes, image_size=SIZE))
    directory = shapes / "shapes" / "small" / "1.2.0"
    records = Records(shapes, "shapes/small", "train")
    pixels = np.stack([read_image(records[n]["image"], SIZE) for n in range(12)])
    mean = load_statistics(directory, SIZE, count=12).mean_image
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-6)
    out = capsys.readouterr().out
    assert "--config.data.name=shapes/small --config.model.num_classes=3" in out
    assert f"--config.data.image_size={SIZE}" in out


def test_prepare_makes_its_store(shapes):
    prepare_store(Request("tfds:shapes/small", shapes, image_size=SIZE))
    assert (shapes / "shapes" / "small" / "1.2.0" / f"pixels_{SIZE}" / "manifest.json").is_file()


def test_training_computes_missing_statistics_and_evaluates_on_test(shapes):
    run = build_run(config_for(shapes))
    assert run.validation.count == 6
    assert has_statistics(shapes / "shapes" / "small" / "1.2.0", 80)


def test_a_run_on_data_that_cannot_be_written_keeps_statistics_in_its_workdir(
    tmp_path, monkeypatch
):
    directory = prepare_with_tfds(tmp_path, FEATURES, splits())
    monkeypatch.setattr(os, "access", lambda path, mode: path != directory)  # Root may write.
    build_run(config_for(tmp_path), tmp_path / "run")
    assert not has_statistics(directory, 80)
    assert has_statistics(tmp_path / "run", 80)


@pytest.mark.slow
def test_statistics_that_another_run_computes_are_waited_for(tmp_path):
    """As in a sweep whose trials start together on data without statistics."""
    prepare_with_tfds(tmp_path, FEATURES, splits())
    pixels = DecodedImages(Records(tmp_path, "shapes/small", "train"), SIZE)
    first = data_dir_lock(tmp_path)
    first.acquire()
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(add_statistics, pixels, tmp_path, None)
        assert not wait([second], timeout=0.5).done
        assert not has_statistics(pixels.directory, SIZE)
        make_statistics(pixels, pixels.directory)
        first.close()
        second.result(timeout=300)


def test_the_newest_version_is_taken(shapes):
    older = shapes / "shapes" / "small" / "1.1.9"
    (shapes / "shapes" / "small" / "1.2.0").rename(older)
    assert Records(shapes, "shapes/small", "train").directory == older
    prepare_with_tfds(shapes, FEATURES, splits())
    assert Records(shapes, "shapes/small", "train").directory.name == "1.2.0"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"image": tfds.features.Image()}, "needs one feature 'label' of type ClassLabel"),
        ({"label": FEATURES["Label"]}, "needs one feature 'image' of type Image"),
        ({"image": tfds.features.Image(), "label": np.int64}, "has .*label: Tensor"),
    ],
)
def test_a_data_set_without_image_or_class_is_refused(tmp_path, features, message):
    row = {"image": png(0), "label": 0}
    prepare_with_tfds(tmp_path, features, {"train": [{key: row[key] for key in features}]})
    with pytest.raises(UserError, match=message):
        Records(tmp_path, "shapes/small", "train")


def test_a_data_set_without_a_split_to_evaluate_on_names_those_there_are(tmp_path):
    prepare_with_tfds(tmp_path, FEATURES, {"train": rows(4), "extra": rows(4)})
    with pytest.raises(UserError, match=r"no split 'validation', only \['extra', 'train'\]"):
        build_run(config_for(tmp_path))


def test_a_label_that_is_withheld_is_no_class(tmp_path):
    hidden = [{"id": "0", "Image": png(0), "Label": -1}]
    prepare_with_tfds(tmp_path, FEATURES, {"train": hidden})
    with pytest.raises(UserError, match=r"label -1, which is not in \[0, 3\)"):
        prepare_dataset(Request("tfds:shapes/small", tmp_path, image_size=SIZE))


def test_a_data_set_that_tfds_has_not_prepared_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no data set 'shapes/small' in .*array_record"):
        prepare_dataset(Request("tfds:shapes/small", tmp_path / "data"))


def test_a_config_that_was_left_out_is_named(shapes):
    with pytest.raises(UserError, match=r"has the configs small; give shapes/small"):
        Records(shapes, "shapes", "train")
