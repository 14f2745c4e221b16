"""Statistics for a training run whose data set comes without them: computed once, then kept."""

import os
import sys
import time
from contextlib import closing
from pathlib import Path

from alexnet_jax.data.data_dir_lock import data_dir_lock
from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.statistics import has_statistics, make_statistics
from alexnet_jax.folder_lock import LockHeldError

_SECONDS_BETWEEN_LOOKS = 2.0


def statistics_directory(pixels: ImageSource, workdir: Path | None) -> Path:
    """Return where the statistics of a training split are, or are to be kept.

    They lie beside the records, or in the run's workdir where nothing can be written there.
    """
    if workdir is None or has_statistics(pixels.directory, pixels.image_size):
        return pixels.directory
    return pixels.directory if os.access(pixels.directory, os.W_OK) else workdir


def add_statistics(pixels: ImageSource, data_dir: Path, workdir: Path | None) -> None:
    """Compute and save the statistics of a training split, if there are none.

    Args:
        pixels: the training split.
        data_dir: its lock lets one process at a time compute; the others wait.
        workdir: of the run.
    """
    directory = statistics_directory(pixels, workdir)
    if has_statistics(directory, pixels.image_size):
        return
    if directory == workdir:
        directory.mkdir(parents=True, exist_ok=True)
        make_statistics(pixels, directory)
        return
    lock, waited = data_dir_lock(data_dir), False
    while not has_statistics(directory, pixels.image_size):
        try:
            lock.acquire()
        except LockHeldError as error:
            if not waited:
                print(f"waiting for statistics of the data: {error}", file=sys.stderr)
            waited = True
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            continue
        with closing(lock):
            if not has_statistics(directory, pixels.image_size):
                make_statistics(pixels, directory)
