"""Making a data set's pixel store with its statistics, and checking one, for `prepare`."""

from pathlib import Path

from alexnet_jax.data.images import MAX_MEGAPIXELS
from alexnet_jax.data.pixel_store import PixelStore, find_store
from alexnet_jax.data.progress import Progress
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import (
    compute_statistics,
    has_statistics,
    load_statistics,
    save_statistics,
)
from alexnet_jax.data.store_manifest import MANIFEST, Manifest, store_command
from alexnet_jax.data.store_verification import verify_store
from alexnet_jax.data.store_writing import write_store
from alexnet_jax.errors import UserError


def is_store_complete(data_dir: Path, data_set: str, image_size: int) -> bool:
    """Say whether a store is there with its statistics."""
    directory = find_store(data_dir, data_set, image_size)
    if directory is None or not _is_written(directory):
        return False
    splits = Manifest.load(directory / MANIFEST).splits
    return "train" not in splits or has_statistics(directory, image_size)


def make_store(
    records_directory: Path,
    data_set: str,
    splits: list[str],
    image_size: int,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> None:
    """Write what is missing of a store, and the statistics beside it and beside the records.

    They come from the store's own pixels: nothing is decoded twice.
    """
    data_dir = records_directory.parents[data_set.count("/") + 1]
    directory = find_store(data_dir, data_set, image_size)
    if directory is None or not _is_written(directory):
        records = {split: Records(data_dir, data_set, split) for split in splits}
        write_store(records, data_set, image_size, max_megapixels)
    if "train" not in splits:
        return
    store = PixelStore(data_dir, data_set, "train", image_size)
    if has_statistics(records_directory, image_size):
        statistics = load_statistics(records_directory, image_size, count=len(store))
    else:
        what = f"statistics of {image_size}x{image_size} pixels"
        with Progress(what, len(store), "images") as progress:
            statistics = compute_statistics(store, progress.advance)
        save_statistics(statistics, records_directory)
    save_statistics(statistics, store.directory)


def verify(data_dir: Path, data_set: str, image_size: int) -> None:
    """Check every checksum of a store and say so; UserError names what is damaged."""
    directory = find_store(data_dir, data_set, image_size)
    if directory is None:
        command = store_command(data_dir, data_set, image_size)
        raise UserError(
            f"no finished pixel store of {data_set} at {image_size} pixels in {data_dir} to "
            f"verify; make it with: {command}"
        )
    manifest = Manifest.load(directory / MANIFEST)
    total = sum(file.bytes for file in manifest.files)
    with Progress(f"verifying {directory}", total, "B") as progress:
        count = verify_store(directory, manifest, progress.advance)
    print(f"{directory}: all {count:,} files, {total / 1e9:,.2f} GB, are as they were written")


def _is_written(directory: Path) -> bool:
    """Say whether every file is there, as long as it should be."""
    return all(file.is_whole(directory) for file in Manifest.load(directory / MANIFEST).files)
