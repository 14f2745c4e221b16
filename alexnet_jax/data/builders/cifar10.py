"""The data set `cifar10`: CIFAR-10 from the makers' binary version."""

from functools import cached_property
from pathlib import Path

import numpy as np

from alexnet_jax.data.builders.archives import read_gzipped
from alexnet_jax.data.builders.pixel_arrays import PixelArrayBuilder
from alexnet_jax.errors import UserError
from alexnet_jax.system.untrusted_file import read_regular

ARCHIVE = "cifar-10-binary.tar.gz"
_FOLDER = "cifar-10-batches-bin"  # Of the archive.
_BATCHES = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "validation": ["test_batch.bin"],
}
# A batch holds 10,000 rows: a label, then the red, the green and the blue pixels, row by row.
_ROWS, _CHANNELS, _SIDE = 10_000, 3, 32
_ROW_BYTES = 1 + _CHANNELS * _SIDE * _SIDE
_BATCH_BYTES = _ROWS * _ROW_BYTES


class Cifar10(PixelArrayBuilder):
    """Photographs of 32x32 pixels: A. Krizhevsky, "Learning Multiple Layers of Features", 2009.

    The source is the archive, or a folder that holds it or its unpacked files. The version for
    Python holds pickles, which are never read.
    """

    description = "50,000 and 10,000 photographs of ten classes."
    class_names = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    image_size = _SIDE
    source_may_be_file = True

    def source_bytes(self) -> int:
        """Return the size of the pixels."""
        return sum(len(names) for names in _BATCHES.values()) * _BATCH_BYTES

    def _read_split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = np.concatenate([self._read_batch(name) for name in _BATCHES[split]])
        pixels = rows[:, 1:].reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
        return pixels, rows[:, 0]

    def _read_batch(self, name: str) -> np.ndarray:
        if name not in self._files:
            raise UserError(
                f"{self.source} lacks {name}; give the binary version, {ARCHIVE} from "
                "https://www.cs.toronto.edu/~kriz/cifar.html, or its unpacked files"
            )
        data = self._files[name]
        if len(data) != _BATCH_BYTES:
            raise UserError(
                f"{name} of {self.source} has {len(data):,} bytes, not the {_BATCH_BYTES:,} of "
                f"{_ROWS:,} images; fetch {ARCHIVE} again"
            )
        return np.frombuffer(data, np.uint8).reshape(_ROWS, _ROW_BYTES)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        """The batches of the source, by name; some may be missing."""
        source = Path(str(self.source))
        names = {name for batches in _BATCHES.values() for name in batches}
        if source.is_file():
            return read_gzipped(source, names)
        for folder in (source, source / _FOLDER):
            if found := [folder / name for name in names if (folder / name).is_file()]:
                return {path.name: _read_file(path) for path in found}
        archive = source / ARCHIVE
        return read_gzipped(archive, names) if archive.is_file() else {}


def _read_file(path: Path) -> bytes:
    try:
        return read_regular(path, max_bytes=2 * _BATCH_BYTES)
    except ValueError as error:
        raise UserError(f"{path} is no batch of CIFAR-10: {error}; fetch it again") from error
