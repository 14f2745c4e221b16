"""Base of the builders whose source holds pixels, not image files."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from alexnet_jax.data.builders.checking import SourceImage
from alexnet_jax.data.builders.record_builder import RecordBuilder
from alexnet_jax.data.decoding.images import encode_image
from alexnet_jax.errors import UserError
from alexnet_jax.system.progress import Progress


class PixelArrayBuilder(RecordBuilder):
    """TFDS builder that stores pixels as PNG files, which keep them exactly.

    The split `validation` is what the makers of these data sets call the test set. A subclass
    defines `class_names`, `_read_split`, and `source_bytes`: small PNG files take about as much as
    their pixels.
    """

    VERSION = tfds.core.Version("1.0.0")
    needs_source = True
    recipe = "small_data"
    test_prefix = "test"  # What the names of the makers' test set begin with.

    def prefix(self, split: str) -> str:
        """Return what the names of a split's images begin with, as in "train_00000.png"."""
        return "train" if split == "train" else self.test_prefix

    def _read_split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return images, uint8 [N, H, W] or [N, H, W, 3], and labels, uint8 [M]."""
        raise NotImplementedError

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        images, labels = self._read_split(split)
        prefix, classes = self.prefix(split), len(self.class_names)
        if len(images) != len(labels):
            raise UserError(
                f"{self.source} has {len(images):,} images and {len(labels):,} labels of {prefix}"
            )
        if len(labels) and labels.max() >= classes:
            raise UserError(
                f"{self.source}: a label of {prefix} is {labels.max()}; {self.name} has the "
                f"classes 0 to {classes - 1}"
            )
        with Progress(f"reading {split}", len(images), "images") as progress:
            for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                name = f"{prefix}_{number:05}.png"
                png = encode_image(Image.fromarray(pixels), "png")
                yield SourceImage(name, int(label), origin=name, data=png)
                progress.advance(1)
