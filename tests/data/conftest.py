"""Data sets made from hand-made sources, for the tests of preparing and reading."""

import shutil
from pathlib import Path

import pytest
from made_files import training_images, validation_images, write_source

from alexnet_jax.data.builders.preparation import Request, prepare_dataset, prepare_store


@pytest.fixture
def prepare_imagenet(tmp_path):
    """Prepare imagenet2012 from the given images; returns the records' directory."""

    def prepare(train=None, validation=None, **request):
        source = write_source(tmp_path / "source", train, validation)
        return prepare_dataset(
            Request("imagenet2012", tmp_path / "data", source, image_size=16, **request)
        )

    return prepare


@pytest.fixture(scope="session")
def imagenet_dir(tmp_path_factory):
    """A data_dir with a small imagenet2012: three synsets of four, four validation images."""
    root = tmp_path_factory.mktemp("imagenet")
    source = write_source(root / "source", training_images(), validation_images())
    prepare_dataset(Request("imagenet2012", root / "data", source, image_size=16))
    return root / "data"


@pytest.fixture
def image_folder(tmp_path):
    """Write {relative path: bytes} below a source directory for the folder data set."""

    def write(files, name="images"):
        for relative, content in files.items():
            path = Path(tmp_path, name, relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / name

    return write


@pytest.fixture
def stored(imagenet_dir, tmp_path):
    """A copy of the small imagenet2012 with its pixel store; returns data_dir and the store."""
    data_dir = tmp_path / "stored"
    shutil.copytree(imagenet_dir, data_dir)
    prepare_store(Request("imagenet2012", data_dir, image_size=16))
    return data_dir, data_dir / "imagenet2012" / "5.1.0" / "pixels_16"
