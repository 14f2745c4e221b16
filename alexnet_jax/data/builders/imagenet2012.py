"""ImageNet (ILSVRC-2012) from its two official archives, as the TFDS data set imagenet2012.

The data set is the official one of TFDS: same features, names, keys, order and version, so that
every TFDS user can read it. Preparing it differs: no TensorFlow, both archives read as streams,
either archive alone is enough, and a validation label goes with the number in the file's name.
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
from alexnet_jax.data.builders.checking import ImageCheck, SourceImage, examples
from alexnet_jax.data.builders.split_writing import SplitWriting
from alexnet_jax.data.images import open_image
from alexnet_jax.data.progress import Progress
from alexnet_jax.errors import UserError

ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "validation": "ILSVRC2012_img_val.tar"}
_OFFICIAL_BYTES = {"train": 147_897_477_120, "validation": 6_744_924_160}  # TFDS's checksums.tsv.
# 22 CMYK JPEGs and one PNG, all of the training set, which other readers cannot be expected to
# handle: TFDS stores them as RGB JPEGs, and so do we.
_RE_ENCODED = frozenset(official.CMYK_IMAGES + official.PNG_IMAGES)
_RE_ENCODED_QUALITY = 100
_VALIDATION_NUMBER = re.compile(r"(\d+)\.[A-Za-z]+$")


def archives_in(source: Path) -> dict[str, Path]:
    """Return the archives that lie in `source`, by split."""
    paths = {split: source / name for split, name in ARCHIVES.items()}
    return {split: path for split, path in paths.items() if path.is_file()}


class Imagenet2012(  # type: ignore[call-arg]
    SplitWriting, official.Builder, skip_registration=True
):
    """TFDS's own builder of imagenet2012, with preparation replaced.

    Attributes:
        check: what became of the images, after preparation.
    """

    name = "imagenet2012"
    pkg_dir_path = epath.Path(official.__file__).parent  # Where TFDS looks for the metadata.

    def __init__(
        self, *, source: Path | None = None, check: ImageCheck, **tfds_arguments: Any
    ) -> None:
        """Args: `source` holds the archives, needed to prepare; the rest as for any builder."""
        self._source = source
        self.check = check
        super().__init__(**tfds_arguments)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        archives = archives_in(self._source) if self._source else {}
        if not archives:
            raise UserError(
                f"neither {ARCHIVES['train']} nor {ARCHIVES['validation']} is in {self._source}; "
                "download them from https://image-net.org/download-images (at least one)"
            )
        for split, path in archives.items():
            require_complete(path, _OFFICIAL_BYTES[split])
        return {split: self._generate_examples(split, path) for split, path in archives.items()}

    def _generate_examples(self, split: str, path: Path) -> Iterator[Any]:
        with Progress(f"reading {path.name}", path.stat().st_size, "B") as progress:
            if split == "train":
                files = read_archive(path, progress.advance, nested=True)
                synsets = frozenset(self.info.features["label"].names)
                images = (_training_image(file, synsets) for file in files)
            else:
                files = read_archive(path, progress.advance)
                labels = validation_labels()
                images = (_validation_image(file, labels) for file in files)
            yield from examples(images, self.check)


def validation_labels() -> list[str]:
    """Return the 50,000 synsets of the validation images, ILSVRC2012_val_00000001 first."""
    file = "datasets/imagenet2012/validation_labels.txt"
    return epath.Path(tfds.core.tfds_path(file)).read_text().split()


def _training_image(file: ArchiveFile, synsets: frozenset[str]) -> SourceImage:
    class_archive = file.inside[0]
    synset = class_archive.removesuffix(".tar")
    if synset not in synsets:
        raise UserError(
            f"{class_archive} in {file.inside[1]} is named for none of the 1,000 synsets of "
            "ILSVRC-2012; is this the classification (CLS-LOC) training archive?"
        )
    convert = _to_rgb_jpeg if file.name in _RE_ENCODED else None
    return SourceImage(file.name, synset, file.origin, file.data, convert)


def _validation_image(file: ArchiveFile, labels: list[str]) -> SourceImage:
    match = _VALIDATION_NUMBER.search(file.name)
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
