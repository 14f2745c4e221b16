"""Preparing a data set: once, whole or not at all, and never two at a time."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from alexnet_jax.data.builders.checking import ImageCheck
from alexnet_jax.data.builders.folder import Folder, ImageFolder
from alexnet_jax.data.builders.fractals import Fractals, fractals_config
from alexnet_jax.data.builders.imagenet2012 import Imagenet2012, archives_in
from alexnet_jax.data.data_dir_lock import data_dir_lock
from alexnet_jax.data.dataset_info import find_features
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.images import IMAGE_SIZE, MAX_MEGAPIXELS
from alexnet_jax.data.pixel_store.manifest import find_store
from alexnet_jax.data.pixel_store.preparation import is_store_complete, make_store, verify
from alexnet_jax.data.progress import Progress
from alexnet_jax.data.records import Records, dataset_directory, missing, open_builder
from alexnet_jax.data.statistics import has_statistics, make_statistics
from alexnet_jax.disk_space import full_disk_reported, require_free_space
from alexnet_jax.errors import UserError
from alexnet_jax.folder_lock import FolderLock

DATASETS = ("imagenet2012", "folder", "fractals/demo", "fractals/imagenet_like")
_FRACTALS = re.compile(r"fractals(?:/(demo|imagenet_like)(?:_(\d+))?)?")
_TFDS = "tfds:"
_DEMO_IMAGE_SIZE = 96  # As large as the demo's images are.


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

    @property
    def fractals(self) -> tuple[str, int | None] | None:
        """Config and images per class where fractals are asked for; without config, the demo."""
        match = _FRACTALS.fullmatch(self.dataset)
        if match is None:
            return None
        per_class = self.images_per_class or (int(match[2]) if match[2] else None)
        return match[1] or "demo", per_class

    @property
    def is_tfds(self) -> bool:
        """Whether somebody else prepares the records, with TFDS."""
        return self.dataset.startswith(_TFDS)

    @property
    def name(self) -> str:
        """The data set's full name, "fractals/demo_50"."""
        if self.is_tfds:
            return self.dataset.removeprefix(_TFDS)
        return f"fractals/{_fractals_config(self).name}" if self.fractals else self.dataset

    @property
    def size(self) -> int:
        """Side of the images that statistics are wanted for, in pixels."""
        is_demo = self.fractals is not None and self.fractals[0] == "demo"
        return self.image_size or (_DEMO_IMAGE_SIZE if is_demo else IMAGE_SIZE)


def prepare_dataset(request: Request) -> Path:
    """Make the records, statistics and pixel store that are missing, and say what there is.

    Returns:
        The directory of the records.

    Raises:
        UserError: the request cannot be met; nothing half-made is left behind.
    """
    _check(request)
    if request.is_tfds and dataset_directory(request.data_dir, request.name) is None:
        raise missing(request.data_dir, request.name)
    if not _is_complete(request):
        with _alone_in(request.data_dir) as lock:
            _make_missing(request, lock)
    directory = _require_directory(request)
    _check_same(request, directory)
    _print_summary(request, directory)
    return directory


def prepare_store(request: Request) -> None:
    """Make or complete the pixel store of records that are there.

    Raises:
        UserError: there are none, or the store cannot be made.
    """
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
    if request.is_tfds:
        if request.source is not None or request.images_per_class is not None:
            raise UserError(f"{request.name} was prepared by TFDS; only its statistics are made")
    elif request.dataset not in DATASETS and not request.fractals:
        raise UserError(
            f"unknown data set {request.dataset!r}; known: fractals, {', '.join(DATASETS)}, and "
            "tfds:NAME[/CONFIG] for what TFDS prepared"
        )
    if request.fractals and request.source is not None:
        raise UserError(f"{request.name} is made on the spot; leave --source out")
    if not request.fractals and request.images_per_class is not None:
        raise UserError(f"--images_per_class is for fractals, not for {request.name}")
    if request.source is not None and not request.source.is_dir():
        raise UserError(f"--source={request.source} is not a directory")


def _is_complete(request: Request) -> bool:
    directory = dataset_directory(request.data_dir, request.name)
    if directory is None:
        return False
    if request.store and not is_store_complete(request.data_dir, request.name, request.size):
        return False
    return "train" not in _split_sizes(directory) or has_statistics(directory, request.size)


def _make_missing(request: Request, lock: FolderLock) -> None:
    directory = dataset_directory(request.data_dir, request.name)
    if directory is None:
        _remove_unfinished(request.data_dir / request.name)
        _make_records(request)
        directory = _require_directory(request)
    if request.store:
        lock.check_still_mine()
        _make_store(request, directory)
    if "train" in _split_sizes(directory) and not has_statistics(directory, request.size):
        records = Records(request.data_dir, request.name, "train")
        pixels = DecodedImages(records, request.size, request.max_megapixels)
        lock.check_still_mine()
        make_statistics(pixels, directory)


def _make_store(request: Request, directory: Path) -> None:
    splits = sorted(_split_sizes(directory))
    make_store(directory, request.name, splits, request.size, request.max_megapixels)


def _make_records(request: Request) -> None:
    with full_disk_reported(request.data_dir, f"the data set {request.name}"):
        if request.name == "imagenet2012":
            _make_imagenet(request)
        elif request.name == "folder":
            _make_folder(request)
        else:
            _make_fractals(request)


def _make_imagenet(request: Request) -> None:
    source = _require_source(request)
    # Records are as large as the archives; TFDS's shuffle keeps each image on disk about once,
    # because a temporary file is removed as soon as its images are in the records.
    needed = sum(path.stat().st_size for path in archives_in(source).values())
    require_free_space(request.data_dir, needed, "the data set imagenet2012")
    check = ImageCheck(request.max_bad_images, request.max_megapixels)
    _build(Imagenet2012(source=source, check=check, **_tfds_arguments(request)))
    _print_left_out(check.bad)


def _make_folder(request: Request) -> None:
    folder = ImageFolder(_require_source(request))
    require_free_space(request.data_dir, folder.total_bytes(), "the data set folder")
    check = ImageCheck(request.max_bad_images, request.max_megapixels)
    _build(Folder(folder=folder, check=check, **_tfds_arguments(request)))
    _print_left_out(check.bad)


def _make_fractals(request: Request) -> None:
    builder = Fractals(config=_fractals_config(request), **_tfds_arguments(request))
    with Progress(f"drawing {request.name}", builder.total_examples, "images") as progress:
        builder.progress = lambda made: progress.advance(1)
        _build(builder)


def _build(builder: Any) -> None:
    tfds.disable_progress_bar()  # Ours show bytes and the time left.
    # TFDS makes folders for downloads, even for a builder that downloads nothing.
    with tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(download_dir=downloads)


def _fractals_config(request: Request) -> Any:
    assert request.fractals is not None
    return fractals_config(*request.fractals)


def _tfds_arguments(request: Request) -> dict[str, str]:
    return {"data_dir": str(request.data_dir), "file_format": "array_record"}


def _check_same(request: Request, directory: Path) -> None:
    """Refuse to pass off an earlier data set of the same name as the one asked for."""
    builder = open_builder(directory)
    sizes = _split_sizes(directory)
    difference = None
    if request.source is not None and request.name == "imagenet2012":
        missing = sorted(set(archives_in(request.source)) - set(sizes))
        if missing:
            difference = f"no {missing[0]} split, whose archive is in {request.source} now"
    elif request.source is not None:
        folder = ImageFolder(request.source)
        if folder.class_names != builder.info.features["label"].names:
            difference = f"other classes than {request.source}"
        elif set(folder.images) != set(sizes):
            difference = f"the splits {sorted(sizes)}, {request.source} has {sorted(folder.images)}"
    if difference:
        raise UserError(
            f"{directory} was made before and has {difference}; "
            "remove that directory or choose another --data_dir"
        )


def _require_source(request: Request) -> Path:
    if request.source is None:
        raise UserError(f"{request.name} has not been made yet; --source=DIR must say what from")
    return request.source


def _require_directory(request: Request) -> Path:
    directory = dataset_directory(request.data_dir, request.name)
    assert directory is not None, "TFDS reported success without a data set"
    return directory


def _split_sizes(directory: Path) -> dict[str, int]:
    splits = open_builder(directory).info.splits
    return {name: splits[name].num_examples for name in splits}


def _class_count(directory: Path) -> int:
    return len(find_features(open_builder(directory).info.features, directory).class_names)


def _remove_unfinished(dataset: Path) -> None:
    """Remove what a killed run left; the lock says that nobody is working on it."""
    for path in dataset.glob("incomplete.*"):
        print(f"removing {path}, left unfinished by an earlier run", file=sys.stderr)
        shutil.rmtree(path)


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[FolderLock]:
    """Hold the directory's lock."""
    lock = data_dir_lock(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(f"cannot write to --data_dir={data_dir}: {error.strerror}") from error
    with closing(lock):
        yield lock


def _print_left_out(bad: list[str]) -> None:
    print(f"unreadable images left out: {len(bad)}")


def _print_summary(request: Request, directory: Path) -> None:
    sizes = _split_sizes(directory)
    counts = ", ".join(f"{count:,} {name}" for name, count in sizes.items())
    print(f"{request.name}: {counts} images in {directory}")
    if request.store:
        _print_store(request)
    if "train" not in sizes:
        print("no train split: no statistics, and nothing to train on")
        return
    config, usual = "configs/imagenet.py", "imagenet2012"
    if request.fractals and request.fractals[0] == "demo":
        config, usual = "configs/demo.py", "fractals/demo"
    overrides = "" if request.name == usual else f" --config.data.name={request.name}"
    classes = _class_count(directory)
    if request.name == "folder" or request.is_tfds:
        overrides += f" --config.model.num_classes={classes}"
    if (request.name == "folder" or request.is_tfds) and request.size != IMAGE_SIZE:
        overrides += f" --config.data.image_size={request.size}"
    print(
        f"statistics for {request.size}x{request.size} pixels are beside them; next: "
        f"python -m alexnet_jax.main --config={config} --config.data.dir={request.data_dir}"
        f"{overrides} --workdir=runs/{request.name.replace('/', '_')}"
    )


def _print_store(request: Request) -> None:
    directory = find_store(request.data_dir, request.name, request.size)
    print(f"pixel store: {directory}; train from it with --config.data.source=store")
