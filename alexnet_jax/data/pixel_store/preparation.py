"""Making the pixel store of a data set with its statistics, and verifying it, for `prepare`."""

from pathlib import Path

from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS
from alexnet_jax.data.pixel_store.manifest import (
    MANIFEST,
    Manifest,
    find_store,
    require_undamaged,
    store_command,
)
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.pixel_store.statistics_file import make_statistics, save_statistics
from alexnet_jax.data.pixel_store.writing import write_store
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import has_statistics, load_statistics
from alexnet_jax.errors import UserError


def is_store_complete(data_dir: Path, data_set: str, image_size: int) -> bool:
    """Return whether a whole store with its statistics exists."""
    directory = find_store(data_dir, data_set, image_size)
    if directory is None:
        return False
    manifest = Manifest.load(directory / MANIFEST)
    has_all = "train" not in manifest.splits or has_statistics(directory, image_size)
    return has_all and manifest.is_whole(directory)


def make_store(
    records_directory: Path,
    data_set: str,
    splits: list[str],
    image_size: int,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> None:
    """Write what is missing of a store, and the statistics beside it and beside the records.

    The statistics come from the store's pixels, so that no image is decoded twice.
    """
    data_dir = records_directory.parents[data_set.count("/") + 1]
    directory = find_store(data_dir, data_set, image_size)
    if directory is None or not Manifest.load(directory / MANIFEST).is_whole(directory):
        records = {split: Records(data_dir, data_set, split) for split in splits}
        write_store(records, data_set, image_size, max_megapixels)
    if "train" not in splits:
        return
    store = PixelStore(data_dir, data_set, "train", image_size)
    if not has_statistics(records_directory, image_size):
        make_statistics(store, records_directory)
    statistics = load_statistics(records_directory, image_size, count=len(store))
    save_statistics(statistics, store.directory)


def verify(data_dir: Path, data_set: str, image_size: int) -> None:
    """Compare the files of a store with their checksums; UserError names those that differ."""
    directory = find_store(data_dir, data_set, image_size)
    command = store_command(data_dir, data_set, image_size)
    if directory is None:
        raise UserError(
            f"no finished pixel store of {data_set} at {image_size} pixels in {data_dir} to "
            f"verify; make it with: {command}"
        )
    files = Manifest.load(directory / MANIFEST).files
    require_undamaged(directory, files, command)
    total = sum(file.bytes for file in files)
    print(f"{directory}: all {len(files):,} files, {total / 1e9:,.2f} GB, are as they were written")
