"""Data sets in MNIST's file format, IDX: MNIST itself, Fashion-MNIST, Kuzushiji-MNIST."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from alexnet_jax.data.builders.checking import SourceImage
from alexnet_jax.data.builders.record_builder import RecordBuilder
from alexnet_jax.errors import UserError
from alexnet_jax.progress import Progress

_PREFIXES = {"train": "train", "validation": "t10k"}
_MOST_VALUES = 2**30  # Of one file; MNIST has 47 million.


class IdxBuilder(RecordBuilder):
    """TFDS builder of train-images-idx3-ubyte, train-labels-idx1-ubyte, and so for t10k.

    The files may be compressed (.gz). The split `validation` is what their makers call the test
    set. Images are stored as PNG files, grey as they are.
    """

    VERSION = tfds.core.Version("1.0.0")
    needs_source = True
    recipe = "demo"

    def source_bytes(self) -> int:
        """Return about the size of the records: small PNG files take as much as their pixels."""
        return sum(path.stat().st_size for path in Path(str(self.source)).glob("*-ubyte*"))

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        prefix, folder = _PREFIXES[split], Path(str(self.source))
        images = read_idx(find_file(folder, f"{prefix}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(find_file(folder, f"{prefix}-labels-idx1-ubyte"), dimensions=1)
        if len(images) != len(labels):
            raise UserError(
                f"{folder} has {len(images):,} images and {len(labels):,} labels of {prefix}"
            )
        classes = len(self.class_names)
        if len(labels) and labels.max() >= classes:
            raise UserError(
                f"{folder}: a label of {prefix} is {labels.max()}; {self.name} has the classes 0 "
                f"to {classes - 1}"
            )
        with Progress(f"reading {split}", len(images), "images") as progress:
            for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                name = f"{prefix}_{number:05}.png"
                yield SourceImage(name, int(label), origin=name, data=_encode_png(pixels))
                progress.advance(1)


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


def _encode_png(pixels: np.ndarray) -> bytes:
    data: Any = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return bytes(data.getvalue())
