"""The data set `imagenet2012`: ILSVRC-2012 from its two official archives.

Features, names, keys, order and version are those of the official data set of TFDS, so that every
TFDS user can read it. Preparation differs: no TensorFlow, both archives are read as streams, one
archive alone is enough, and a validation label belongs to the number in the file's name.
"""

from collections.abc import Callable

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.datasets.imagenet2012 import imagenet2012_dataset_builder as official

from alexnet_jax.data.builders.archives import ArchiveFile
from alexnet_jax.data.builders.ilsvrc import IlsvrcBuilder
from alexnet_jax.data.decoding.images import encode_image, open_image

# 22 CMYK JPEGs and one PNG of the training set, which other readers may not handle. TFDS stores
# them as RGB JPEGs, and so do we.
_RE_ENCODED = frozenset(official.CMYK_IMAGES + official.PNG_IMAGES)
_RE_ENCODED_QUALITY = 100


class Imagenet2012(IlsvrcBuilder, official.Builder):
    """TFDS's own builder of imagenet2012, with preparation replaced."""

    name = "imagenet2012"
    pkg_dir_path = epath.Path(official.__file__).parent  # Where TFDS looks for the metadata.
    challenge = "ILSVRC-2012"
    archives = (  # Lengths from TFDS's checksums.tsv.
        ("train", "ILSVRC2012_img_train.tar", 147_897_477_120),
        ("validation", "ILSVRC2012_img_val.tar", 6_744_924_160),
    )

    _info = official.Builder._info

    def _read_labels(self, split: str) -> list[str]:
        return validation_labels()

    def _conversion(self, file: ArchiveFile) -> Callable[[bytes, float], bytes] | None:
        return _to_rgb_jpeg if file.name in _RE_ENCODED else None


def validation_labels() -> list[str]:
    """Return the 50,000 synsets of the validation images, ILSVRC2012_val_00000001 first."""
    file = "datasets/imagenet2012/validation_labels.txt"
    return epath.Path(tfds.core.tfds_path(file)).read_text().split()


def _to_rgb_jpeg(data: bytes, max_megapixels: float) -> bytes:
    image = open_image(data, max_megapixels).convert("RGB")
    return encode_image(image, "JPEG", quality=_RE_ENCODED_QUALITY)
