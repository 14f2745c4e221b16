"""The training images that are nearest to an image in the last hidden layer."""

import threading

import numpy as np

from alexnet_jax.data.imagenet.names import english_name
from alexnet_jax.errors import UserError
from alexnet_jax.report.embedding import photo_uri
from alexnet_jax.report.mistakes import nearest_images
from alexnet_jax.report.sample import Sample, draw_sample
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.trained import TrainedNetwork

_SHOWN = 6
_SIDE = 96  # Of a photograph, in pixels.


class Neighbors:
    """Looks at training images in the background, and then finds the nearest ones.

    Attributes:
        note: Why there are no neighbors yet; "" once there are.
    """

    def __init__(self, trained: TrainedNetwork, count: int) -> None:
        """Begin to look at `count` training images."""
        self.note = "The training images are being read; try again soon."
        self._pool: Sample | None = None
        self._trained, self._count = trained, count
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        try:
            images = open_split(self._trained.config, "train")
            self._pool = draw_sample(
                images, self._count, self._trained, None, "looking at training images"
            )
            self.note = ""
        except (UserError, OSError) as error:
            self.note = f"The training images cannot be read: {error}"

    def nearest(self, features: np.ndarray) -> list[dict[str, str]]:
        """Return the nearest images to features float32 [units]; none before all are looked at."""
        if self._pool is None:
            return []
        pool, names = self._pool, self._trained.class_names
        return [
            {
                "photo": photo_uri(pool.crops[image], _SIDE),
                "label": english_name(names[pool.labels[image]]),
            }
            for image in nearest_images(features[None], pool.features, _SHOWN)[0]
        ]
