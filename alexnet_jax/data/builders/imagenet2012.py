"""The data set `imagenet2012`: ILSVRC-2012 from its two official archives.

Features, names, keys, order and version are those of the official data set of TFDS, so that every
TFDS user can read it. Preparation differs: no TensorFlow, both archives are read as streams, one
archive alone is enough, and a validation label belongs to the number in the file's name.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.datasets.imagenet2012 import imagenet2012_dataset_builder as official

from alexnet_jax.data.builders.archives import ArchiveFile, read_archive, require_complete
from alexnet_jax.data.builders.checking import SourceImage
from alexnet_jax.data.builders.record_builder import Examples, RecordBuilder
from alexnet_jax.data.images import open_image
from alexnet_jax.errors import UserError
from alexnet_jax.progress import Progress

ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "validation": "ILSVRC2012_img_val.tar"}
_OFFICIAL_BYTES = {"train": 147_897_477_120, "validation": 6_744_924_160}  # TFDS's checksums.tsv.
# 22 CMYK JPEGs and one PNG of the training set, which other readers may not handle. TFDS stores
# them as RGB JPEGs, and so do we.
_RE_ENCODED = frozenset(official.CMYK_IMAGES + official.PNG_IMAGES)
_RE_ENCODED_QUALITY = 100


class Imagenet2012(RecordBuilder, official.Builder):
    """TFDS's own builder of imagenet2012, with preparation replaced."""

    name = "imagenet2012"
    pkg_dir_path = epath.Path(official.__file__).parent  # Where TFDS looks for the metadata.
    needs_source = True

    _info = official.Builder._info

    def __init__(self, *, source: Path, **arguments: Any) -> None:
        paths = {split: source / name for split, name in ARCHIVES.items()}
        self._archives = {split: path for split, path in paths.items() if path.is_file()}
        self.splits = list(self._archives)
        super().__init__(source=source, **arguments)

    def find_difference(self, prepared: tfds.core.DatasetInfo) -> str | None:
        """Find an archive that came later; one may have been removed."""
        missing = sorted(set(self.splits) - set(prepared.splits))
        return f"no {missing[0]} split, whose archive is in {self.source} now" if missing else None

    def source_bytes(self) -> int:
        """Return the size of the archives."""
        return sum(path.stat().st_size for path in self._archives.values())

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        if not self._archives:
            raise UserError(
                f"neither {ARCHIVES['train']} nor {ARCHIVES['validation']} is in {self.source}; "
                "download them from https://image-net.org/download-images (at least one)"
            )
        for split, path in self._archives.items():
            require_complete(path, _OFFICIAL_BYTES[split])
        return super()._split_generators(dl_manager)

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        path = self._archives[split]
        with Progress(f"reading {path.name}", path.stat().st_size, "B") as progress:
            files = read_archive(path, progress.advance, nested=split == "train")
            if split == "train":
                synsets = frozenset(self.info.features["label"].names)
                yield from (_training_image(file, synsets) for file in files)
            else:
                labels = validation_labels()
                yield from (_validation_image(file, labels) for file in files)


def validation_labels() -> list[str]:
    """Return the 50,000 synsets of the validation images, ILSVRC2012_val_00000001 first."""
    file = "datasets/imagenet2012/validation_labels.txt"
    return epath.Path(tfds.core.tfds_path(file)).read_text().split()


def _training_image(file: ArchiveFile, synsets: frozenset[str]) -> SourceImage:
    class_archive, _, archive = file.place.partition(" of ")
    synset = class_archive.removesuffix(".tar")
    if synset not in synsets:
        raise UserError(
            f"{class_archive} in {archive} is named for none of the 1,000 synsets of "
            "ILSVRC-2012; is this the classification (CLS-LOC) training archive?"
        )
    convert = _to_rgb_jpeg if file.name in _RE_ENCODED else None
    return SourceImage(file.name, synset, file.origin, file.data, convert)


def _validation_image(file: ArchiveFile, labels: list[str]) -> SourceImage:
    match = re.search(r"(\d+)\.[A-Za-z]+$", file.name)
    if match is None:
        raise UserError(
            f"{file.origin} has no number in its name, so its label is unknown; names must be "
            "like ILSVRC2012_val_00000001.JPEG"
        )
    number = int(match[1])
    if not 1 <= number <= len(labels):
        raise UserError(f"{file.origin}: its number is not in 1..{len(labels)}")
    return SourceImage(file.name, labels[number - 1], file.origin, file.data)


def _to_rgb_jpeg(data: bytes, max_megapixels: float) -> bytes:
    encoded = io.BytesIO()
    image = open_image(data, max_megapixels).convert("RGB")
    image.save(encoded, "JPEG", quality=_RE_ENCODED_QUALITY)
    return encoded.getvalue()
