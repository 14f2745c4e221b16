"""The data set `imagenet2010`: ILSVRC-2010, on whose test images the paper's table 1 was measured.

Names, counts and the order of the labels are those of the readme of the development kit 1.0. The
organizers published the labels of the test images after the challenge.
"""

import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import tensorflow_datasets as tfds

from alexnet_jax.data.builders.archives import ArchiveFile, read_archive, read_gzipped
from alexnet_jax.data.builders.ilsvrc import IlsvrcBuilder
from alexnet_jax.data.imagenet.names import imagenet2010_words
from alexnet_jax.errors import UserError

DEVKIT = "ILSVRC2010_devkit-1.0.tar.gz"
PATCHES = "patch_images.tar"
_GROUND_TRUTH = {
    "validation": "ILSVRC2010_validation_ground_truth.txt",
    "test": "ILSVRC2010_test_ground_truth.txt",
}
_COUNTS = {"validation": 50_000, "test": 150_000}
_DOWNLOADS = "https://image-net.org/challenges/LSVRC/2010/2010-downloads.php"
_GZIP = b"\x1f\x8b"
_MOST_IMAGE_BYTES = 1 << 26


class Imagenet2010(IlsvrcBuilder):
    """TFDS builder of ILSVRC-2010: train, validation and test, or what of them is there.

    A label is ILSVRC2010_ID - 1. The validation images need the development kit or its file of
    labels in the source, the test images their file of labels. The images of `patch_images.tar`,
    where it is there, replace those of the same names, which are blank in the archives.
    """

    VERSION = tfds.core.Version("1.0.0")
    name = "imagenet2010"
    description = "1,261,406, 50,000 and 150,000 photographs of the 1,000 classes of ILSVRC-2010."
    challenge = "ILSVRC-2010"
    class_names = tuple(imagenet2010_words())
    archives = (
        ("train", "ILSVRC2010_images_train.tar", None),
        ("validation", "ILSVRC2010_images_val.tar", None),
        ("test", "ILSVRC2010_images_test.tar", None),
    )

    def _read_labels(self, split: str) -> list[str]:
        path = Path(str(self.source)) / _GROUND_TRUTH[split]
        devkit = path.with_name(DEVKIT)
        if path.is_file():
            data, origin = path.read_bytes(), str(path)
        elif split == "validation" and devkit.is_file():
            data = read_gzipped(devkit, [path.name]).get(path.name, b"")
            origin = f"{path.name} of {devkit}"
        else:
            where = f"{DEVKIT}, or {path.name} of it," if split == "validation" else path.name
            raise UserError(
                f"the labels of {self._paths[split].name} are missing: put {where} into "
                f"{self.source}, from {_DOWNLOADS}, or move the archive away"
            )
        return _parse_labels(data, _COUNTS[split], self.class_names, origin)

    def _conversion(self, file: ArchiveFile) -> Callable[[bytes, float], bytes] | None:
        if (patch := self._patches.get(file.name)) is not None:
            return lambda data, max_megapixels: patch
        # One image of the training archive is compressed: n02487347_1956.JPEG.
        return _gunzip if file.data.startswith(_GZIP) else None

    @cached_property
    def _patches(self) -> dict[str, bytes]:
        path = Path(str(self.source)) / PATCHES
        files = read_archive(path, lambda count: None) if path.is_file() else ()
        return {file.name: file.data for file in files}


def _parse_labels(data: bytes, count: int, synsets: tuple[str, ...], origin: str) -> list[str]:
    """Return the synsets of a file with an ILSVRC2010_ID a line."""
    lines = data.split()
    if len(lines) != count:
        raise UserError(f"{origin} holds {len(lines):,} labels, not {count:,}; fetch it again")
    known = {str(number).encode(): synset for number, synset in enumerate(synsets, start=1)}
    for number, line in enumerate(lines, start=1):
        if line not in known:
            raise UserError(
                f"{origin}: label {number:,} is {line[:20]!r}, not one of 1 to {len(synsets):,}; "
                "fetch it again"
            )
    return [known[line] for line in lines]


def _gunzip(data: bytes, max_megapixels: float) -> bytes:
    """Unpack an image; raise ValueError if it is damaged or unpacks to too much."""
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: gzip's header.
    try:
        image = unpacking.decompress(data, _MOST_IMAGE_BYTES)
    except zlib.error as error:
        raise ValueError(f"compressed, and damaged: {error}") from error
    if unpacking.unconsumed_tail:
        raise ValueError(f"unpacks to more than {_MOST_IMAGE_BYTES:,} bytes")
    return image
