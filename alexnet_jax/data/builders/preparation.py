"""Preparation of a data set: complete or not at all, and by one process at a time."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from alexnet_jax.data.builders import DATA_SETS
from alexnet_jax.data.builders.checking import ImageCheck
from alexnet_jax.data.builders.commands import missing
from alexnet_jax.data.builders.record_builder import RecordBuilder
from alexnet_jax.data.dataset_info import find_features
from alexnet_jax.data.decoding.images import IMAGE_SIZE, MAX_MEGAPIXELS
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.manifest import find_store
from alexnet_jax.data.pixel_store.preparation import is_store_complete, make_store, verify
from alexnet_jax.data.pixel_store.statistics_file import make_statistics
from alexnet_jax.data.records import Records, dataset_directory, open_builder
from alexnet_jax.data.statistics import has_statistics
from alexnet_jax.errors import UserError
from alexnet_jax.system.data_dir_lock import data_dir_lock
from alexnet_jax.system.disk_space import full_disk_reported, require_free_space
from alexnet_jax.system.folder_lock import FolderLock

_TFDS = "tfds:"
_KEYS = ("data.name", "model.num_classes", "data.image_size", "data.source")
# The values of `_KEYS` in the recipes that prepared data are trained with.
_RECIPES = {
    "demo": ("fractals/demo", 10, 96, "records"),
    "imagenet": ("imagenet2012", 1000, IMAGE_SIZE, "records"),
    "small_data": ("fashion_mnist", 10, 28, "device"),
}


@dataclass(frozen=True)
class Request:
    """What to prepare; the fields are the flags of `python -m alexnet_jax.prepare`."""

    dataset: str
    data_dir: Path
    source: Path | None = None
    image_size: int | None = None
    images_per_class: int | None = None
    max_bad_images: int = 10
    max_megapixels: float = MAX_MEGAPIXELS
    store: bool = False

    @cached_property
    def builder(self) -> type[RecordBuilder] | None:
        """The class that makes the data set; None where TFDS has prepared it."""
        if self.dataset.startswith(_TFDS):
            return None
        name = self.dataset.partition("/")[0]
        if name not in DATA_SETS:
            configs = {name: builder.BUILDER_CONFIGS for name, builder in DATA_SETS.items()}
            known = [*DATA_SETS, *(f"{key}/{one.name}" for key in configs for one in configs[key])]
            raise UserError(
                f"unknown data set {self.dataset!r}; known: {', '.join(known)}, and "
                "tfds:NAME[/CONFIG] for what TFDS prepared"
            )
        return DATA_SETS[name]

    @cached_property
    def config(self) -> Any:
        """The config of the builder, if it has configs."""
        config = self.dataset.partition("/")[2]
        return self.builder and self.builder.find_config(config, self.images_per_class)

    @property
    def name(self) -> str:
        """The data set's full name, "fractals/demo_50"."""
        if self.builder is None:
            return self.dataset.removeprefix(_TFDS)
        return f"{self.builder.name}/{self.config.name}" if self.config else self.builder.name

    @property
    def recipe(self) -> str:
        """The name of the recipe that the data set is made for."""
        if self.builder is None:
            return "imagenet"
        return str(self.config.recipe) if self.config else self.builder.recipe

    @property
    def size(self) -> int:
        """Side in pixels of the images that the statistics are for."""
        natural = None if self.builder is None else self.builder.image_size
        return self.image_size or natural or _RECIPES[self.recipe][2]

    def create_builder(self, data_dir: Path, check: ImageCheck | None = None) -> RecordBuilder:
        """Create the builder; UserError where it needs a source that is not given."""
        assert self.builder is not None, "TFDS's data sets are only read"
        if self.builder.needs_source and self.source is None:
            raise UserError(f"{self.name} has not been made yet; --source=DIR must say what from")
        return self.builder(source=self.source, check=check, config=self.config, data_dir=data_dir)


def prepare_dataset(request: Request) -> Path:
    """Make the missing records, statistics and pixel store; return the directory of the records.

    Prints a summary.

    Raises:
        UserError: the request cannot be met; nothing half-made is left behind.
    """
    _check(request)
    directory = dataset_directory(request.data_dir, request.name)
    if request.builder is None and directory is None:
        raise missing(request.data_dir, request.name)
    if directory is None or not _is_complete(request, directory):
        with _alone_in(request.data_dir) as lock:
            directory = _make_missing(request, lock)
    if request.source is not None:
        _check_same(request, directory)
    _print_summary(request, directory)
    return directory


def prepare_store(request: Request) -> None:
    """Make or complete the pixel store of records; UserError if there are none."""
    _check(request)
    if not is_store_complete(request.data_dir, request.name, request.size):
        directory = dataset_directory(request.data_dir, request.name)
        if directory is None:
            raise UserError(
                f"no data set {request.name!r} in {request.data_dir} to make a pixel store of; "
                "make both with --store instead of --store_only"
            )
        with _alone_in(request.data_dir):
            _make_store(request, directory)
    _print_store(request)


def check_store(request: Request) -> None:
    """Compare every byte of the pixel store with its checksums; UserError names what differs."""
    _check(request)
    verify(request.data_dir, request.name, request.size)


def _check(request: Request) -> None:
    if request.builder is None:
        if request.source is not None or request.images_per_class is not None:
            raise UserError(f"{request.name} was prepared by TFDS; only its statistics are made")
    elif request.source is not None and not request.builder.needs_source:
        raise UserError(f"{request.name} is made on the spot; leave --source out")
    if request.source is not None and not request.source.is_dir():
        if not (request.builder and request.builder.source_may_be_file):
            raise UserError(f"--source={request.source} is not a directory")
        if not request.source.is_file():
            raise UserError(f"--source={request.source} is neither a file nor a directory")


def _is_complete(request: Request, directory: Path) -> bool:
    if request.store and not is_store_complete(request.data_dir, request.name, request.size):
        return False
    return "train" not in _split_sizes(directory) or has_statistics(directory, request.size)


def _make_missing(request: Request, lock: FolderLock) -> Path:
    directory = dataset_directory(request.data_dir, request.name)
    if directory is None:
        _make_records(request)
        directory = dataset_directory(request.data_dir, request.name)
        assert directory is not None, "TFDS reported success without a data set"
    if request.store:
        lock.check_still_mine()
        _make_store(request, directory)
    if not _is_complete(request, directory):
        records = Records(request.data_dir, request.name, "train")
        pixels = DecodedImages(records, request.size, request.max_megapixels)
        lock.check_still_mine()
        make_statistics(pixels, directory)
    return directory


def _make_records(request: Request) -> None:
    """Run the builder. The lock is held, so what is unfinished was left by a killed run."""
    for path in (request.data_dir / request.name).glob("incomplete.*"):
        print(f"removing {path}, left unfinished by an earlier run", file=sys.stderr)
        shutil.rmtree(path)
    what = f"the data set {request.name}"
    check = ImageCheck(request.max_bad_images, request.max_megapixels)
    tfds.disable_progress_bar()  # Ours show bytes and the time left.
    with (
        full_disk_reported(request.data_dir, what),
        # TFDS makes folders for downloads, even for a builder that downloads nothing.
        tempfile.TemporaryDirectory() as downloads,
    ):
        builder = request.create_builder(request.data_dir, check)
        require_free_space(request.data_dir, builder.source_bytes(), what)
        builder.download_and_prepare(download_dir=downloads)
    if request.source is not None:
        print(f"unreadable images left out: {len(check.bad)}")


def _check_same(request: Request, directory: Path) -> None:
    """Raise UserError if a data set of the same name was made from another source."""
    with tempfile.TemporaryDirectory() as empty:  # In data_dir, TFDS loads what is there.
        builder = request.create_builder(Path(empty))
    if difference := builder.find_difference(open_builder(directory).info):
        raise UserError(
            f"{directory} was made before and has {difference}; "
            "remove that directory or choose another --data_dir"
        )


def _make_store(request: Request, directory: Path) -> None:
    splits = sorted(_split_sizes(directory))
    make_store(directory, request.name, splits, request.size, request.max_megapixels)


def _split_sizes(directory: Path) -> dict[str, int]:
    splits = open_builder(directory).info.splits
    return {name: splits[name].num_examples for name in splits}


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[FolderLock]:
    lock = data_dir_lock(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(f"cannot write to --data_dir={data_dir}: {error.strerror}") from error
    with closing(lock):
        yield lock


def _print_summary(request: Request, directory: Path) -> None:
    sizes = _split_sizes(directory)
    counts = ", ".join(f"{count:,} {name}" for name, count in sizes.items())
    print(f"{request.name}: {counts} images in {directory}")
    if request.store:
        _print_store(request)
    if "train" not in sizes:
        print("no train split: no statistics, and nothing to train on")
        return
    features = find_features(open_builder(directory).info.features, directory)
    usual = _RECIPES[request.recipe]
    source = usual[3] if request.store else "records"
    values = (request.name, len(features.class_names), request.size, source)
    overrides = "".join(
        f" --config.{key}={value}"
        for key, value, same in zip(_KEYS, values, usual, strict=True)
        if value != same
    )
    print(
        f"statistics for {request.size}x{request.size} pixels are beside them; next: "
        f"python -m alexnet_jax.main --config=configs/{request.recipe}.py "
        f"--config.data.dir={request.data_dir}{overrides} "
        f"--workdir=runs/{request.name.replace('/', '_')}"
    )


def _print_store(request: Request) -> None:
    directory = find_store(request.data_dir, request.name, request.size)
    print(f"pixel store: {directory}; train from it with --config.data.source=store")
