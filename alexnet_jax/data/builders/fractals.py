"""The data set `fractals`, of ImageNet's shape: generated, without a download.

As in FractalDB (Kataoka et al., *Pre-training without Natural Images*, ACCV 2020,
arXiv:2101.08515), a category is an iterated function system, and its instances vary the
system's parameters, rotation, flip, colors and background. An image is a pure function of
(version, split, label, instance): neither the number of processes nor their order matters.
"""

import dataclasses
import functools
import re

import tensorflow_datasets as tfds

from alexnet_jax.data.builders.record_builder import Examples, RecordBuilder
from alexnet_jax.data.fractals.drawing import Instance, Picture, draw_in_order
from alexnet_jax.data.fractals.ifs import System, find_systems
from alexnet_jax.errors import UserError
from alexnet_jax.system.cores import usable_cores
from alexnet_jax.system.progress import Progress

_SEED = 2012  # Another seed is another data set: raise VERSION with it.
_IMAGES_PER_WORKER = 400  # A worker needs half a second to start.


@dataclasses.dataclass(eq=False, kw_only=True)
class FractalsConfig(tfds.core.BuilderConfig):
    """One size of the data set."""

    num_classes: int
    train_per_class: int
    validation_per_class: int
    max_similarity: float  # Of two categories; see `ifs.find_systems`.
    picture: Picture
    recipe: str = "demo"  # As `RecordBuilder.recipe`.


_DEMO = FractalsConfig(
    name="demo",
    description="10 classes, 5,000 training and 1,000 validation images of 96x96; seconds to make.",
    num_classes=10,
    train_per_class=500,
    validation_per_class=100,
    max_similarity=0.65,
    picture=Picture(96, 96, upright_fraction=0.0, texture=(8.0, 24.0), jpeg_quality=90),
)

# So few images that `tiny` overfits.
_FEW = dataclasses.replace(  # type: ignore[call-arg]  # TFDS has no types for mypy to see.
    _DEMO,
    name="few",
    description="The classes of demo, 100 training and 1,000 validation images of 96x96.",
    train_per_class=10,
)

_IMAGENET_LIKE = FractalsConfig(
    name="imagenet_like",
    description="1,000 classes, JPEGs of 500x375 or 375x500 and about 110 KB, as many as ImageNet.",
    num_classes=1000,
    train_per_class=1281,
    validation_per_class=50,
    max_similarity=0.85,
    picture=Picture(500, 375, upright_fraction=0.2, texture=(15.0, 45.0), jpeg_quality=92),
    recipe="imagenet",
)


class Fractals(RecordBuilder):
    """TFDS builder of images of iterated function systems, with ImageNet's features and names."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [_DEMO, _FEW, _IMAGENET_LIKE]  # noqa: RUF012 (TFDS declares it)
    description = "Images of iterated function systems, made as FractalDB's are."
    encoding_format = "jpeg"

    @classmethod
    def find_config(cls, name: str = "", images_per_class: int | None = None) -> FractalsConfig:
        """Return the config of that name, or a variant with another number of training images.

        "demo_50" has 50 images per class. Validation keeps its proportion, rounded up.

        Raises:
            UserError: an unknown name, or fewer than one image.
        """
        if variant := re.fullmatch(r"(.+)_(\d+)", name):
            name = variant[1]
            images_per_class = images_per_class or int(variant[2])
        config: FractalsConfig = super().find_config(name)
        count = config.train_per_class if images_per_class is None else images_per_class
        if count == config.train_per_class:
            return config
        if count < 1:
            raise UserError(f"images_per_class={count}; each class needs at least 1 image")
        return dataclasses.replace(  # type: ignore[call-arg]  # TFDS has no types for mypy to see.
            config,
            name=f"{config.name}_{count}",
            description=f"{config.description} Here with {count} images per class.",
            train_per_class=count,
            validation_per_class=-(-count * config.validation_per_class // config.train_per_class),
        )

    def _info(self) -> tfds.core.DatasetInfo:
        self.class_names = [f"fractal_{n:04}" for n in range(self.builder_config.num_classes)]
        return super()._info()

    @functools.cached_property
    def _systems(self) -> list[System]:
        config = self.builder_config
        return find_systems(_SEED, config.num_classes, config.max_similarity)

    def _generate_examples(self, split: str) -> Examples:
        config, systems = self.builder_config, self._systems
        count = config.train_per_class if split == "train" else config.validation_per_class
        classes, split_number = config.num_classes, self.splits.index(split)
        total = count * classes
        places = (divmod(index, classes) for index in range(total))  # Each class in turn.
        instances = (
            Instance(systems[label], config.picture, (_SEED, split_number, label, number))
            for number, label in places
        )
        images = draw_in_order(instances, min(usable_cores(), total // _IMAGES_PER_WORKER))
        with Progress(f"drawing {split}", total, "images") as progress:
            for index, image in enumerate(images):
                number, label = divmod(index, classes)
                # ImageNet's names: by class in training, by a running number otherwise.
                name = f"f{label:04}_{number}.JPEG"
                if split != "train":
                    name = f"fractals_{split[:3]}_{index + 1:08}.JPEG"
                yield name, {"image": image, "label": label, "file_name": name}
                progress.advance(1)
