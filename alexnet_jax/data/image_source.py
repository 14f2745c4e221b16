"""The images of a split as squares of pixels, from records or from a pixel store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from alexnet_jax.data.dataset_info import records_fingerprint
from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS, read_image
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError


class ImageSource(Protocol):
    """The images and labels that training and evaluation read.

    Attributes:
        directory: Folder of the statistics.
        num_classes: Number of classes that the data set declares.
        class_names: Names of the classes, by label.
        image_size: Side of the images in pixels.
        fingerprint: Fingerprint of the records that the pixels come from; None if unknown.
    """

    directory: Path
    num_classes: int
    class_names: list[str]
    image_size: int
    fingerprint: str | None

    def __len__(self) -> int:
        """Return the number of examples in the split."""

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Read the examples at `indices`, n in [0, length), from any thread.

        They fill `images`, contiguous uint8 [n, S, S, 3], and `labels`, int32 [n].
        """


class DecodedImages:
    """The images of records, decoded and scaled at each read.

    Attributes:
        records: Encoded images.
        files: Record files of the split, in the order of its examples.
    """

    def __init__(
        self, records: Records, image_size: int, max_megapixels: float = MAX_MEGAPIXELS
    ) -> None:
        """Scale images to `image_size` pixels; refuse those above `max_megapixels`."""
        self.records = records
        self.directory = records.directory
        self.num_classes = records.num_classes
        self.class_names = records.class_names
        self.image_size = image_size
        self.fingerprint = records_fingerprint(records.directory)
        self.files = records.files
        self._max_megapixels = max_megapixels

    def __len__(self) -> int:
        return len(self.records)

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Decode the examples at `indices`; raise UserError for a damaged one or a wrong label."""
        for row, index in enumerate(indices):
            example = self.records[index]
            self.decode(index, example, out=images[row])
            if not 0 <= (label := example["label"]) < self.num_classes:
                raise UserError(
                    f"{self.directory}: image {index} has the label {label}, which is not in [0, "
                    f"{self.num_classes}); TFDS writes -1 where the publishers withhold the class"
                )
            labels[row] = label

    def decode(self, index: int, example: dict[str, Any], out: np.ndarray) -> None:
        """Decode an example that was read at `index` into `out`, uint8 [S, S, 3]."""
        try:
            read_image(example["image"], self.image_size, out, self._max_megapixels)
        except ValueError as error:
            raise self.records.damaged(index, error, example) from error
