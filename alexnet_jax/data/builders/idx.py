"""Data sets in MNIST's file format, IDX: MNIST itself, Fashion-MNIST, Kuzushiji-MNIST."""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alexnet_jax.data.builders.pixel_arrays import PixelArrayBuilder
from alexnet_jax.errors import UserError

_MOST_VALUES = 2**30  # Of one file; MNIST has 47 million.


class IdxBuilder(PixelArrayBuilder):
    """TFDS builder of train-images-idx3-ubyte, train-labels-idx1-ubyte, and so for t10k.

    The files may be compressed (.gz). Images are gray and stored so.
    """

    test_prefix = "t10k"

    def source_bytes(self) -> int:
        """Return the size of the files."""
        return sum(path.stat().st_size for path in Path(str(self.source)).glob("*-ubyte*"))

    def _read_split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        prefix, folder = self.prefix(split), Path(str(self.source))
        images = read_idx(find_file(folder, f"{prefix}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(find_file(folder, f"{prefix}-labels-idx1-ubyte"), dimensions=1)
        return images, labels


class Mnist(IdxBuilder):
    """Handwritten digits: Y. LeCun, C. Cortes, C. Burges, 1998."""

    description = "60,000 and 10,000 handwritten digits."
    class_names = tuple("0123456789")


class FashionMnist(IdxBuilder):
    """Articles of clothing: H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747."""

    description = "60,000 and 10,000 pictures of clothing."
    class_names = (
        "T-shirt or top", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip


class Kmnist(IdxBuilder):
    """Japanese characters in cursive writing: T. Clanuwat et al., arXiv 1812.01718."""

    description = "60,000 and 10,000 hiragana."
    class_names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def find_file(folder: Path, name: str) -> Path:
    """Return the path of a file, compressed or not; UserError if neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder} has neither {name} nor {name}.gz")


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes: uint8, with as many axes as `dimensions`.

    Raises:
        UserError: it is no such file, is cut short or damaged, or holds more than it says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read(file, dimensions)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{path} is no IDX file that can be read: {error}") from error


def _read(file: BinaryIO, dimensions: int) -> np.ndarray:
    header = file.read(4 + 4 * dimensions)
    if header[:4] != bytes([0, 0, 8, dimensions]) or len(header) < 4 + 4 * dimensions:
        raise ValueError(f"it does not begin as one of {dimensions} dimensions")
    shape = tuple(int(side) for side in np.frombuffer(header, ">u4", offset=4))
    size = int(np.prod(shape, dtype=object))
    if size > _MOST_VALUES:
        raise ValueError(f"its header says {size:,} values, more than {_MOST_VALUES:,}")
    values = file.read(size)
    if len(values) < size or file.read(1):
        found = "more" if len(values) == size else f"{len(values):,}"
        raise ValueError(f"its header says {size:,} values; it holds {found}")
    return np.frombuffer(values, np.uint8).reshape(shape)
