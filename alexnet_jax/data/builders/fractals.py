"""The TFDS builder `fractals`: a data set of ImageNet's shape, made on the spot, no download.

As in FractalDB (Kataoka et al., *Pre-training without Natural Images*, ACCV 2020,
arXiv:2101.08515), a category is an iterated function system, and its instances vary the
system's parameters, rotation, flip, colours and background. An image is a pure function of
(version, split, label, instance): neither the number of processes nor their order matters.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool

import tensorflow_datasets as tfds

from alexnet_jax.cores import usable_cores
from alexnet_jax.data.builders.split_writing import SplitWriting
from alexnet_jax.data.fractal_images import Instance, Picture, draw_jpegs
from alexnet_jax.data.ifs import System, find_systems
from alexnet_jax.errors import MachineError, UserError

_SEED = 2012  # Another seed is another data set: raise VERSION with it.
_SPLITS = ("train", "validation")
_IMAGES_PER_TASK = 32
_IMAGES_PER_WORKER = 400  # A worker needs half a second to start, which must pay.


@dataclasses.dataclass(eq=False, kw_only=True)
class FractalsConfig(tfds.core.BuilderConfig):
    """One size of the data set.

    Attributes:
        num_classes: categories.
        train_per_class: training images of each category.
        validation_per_class: validation images of each category.
        max_similarity: how alike two categories may be; see `ifs.find_systems`.
        picture: size and look of the images.
    """

    num_classes: int
    train_per_class: int
    validation_per_class: int
    max_similarity: float
    picture: Picture

    def images_per_class(self, split: str) -> int:
        """Return how many images of each category `split` holds."""
        return {"train": self.train_per_class, "validation": self.validation_per_class}[split]


_DEMO = FractalsConfig(
    name="demo",
    description="10 classes, 5,000 training and 1,000 validation images of 96x96; seconds to make.",
    num_classes=10,
    train_per_class=500,
    validation_per_class=100,
    max_similarity=0.65,
    picture=Picture(
        width=96, height=96, upright_fraction=0.0, texture=(8.0, 24.0), jpeg_quality=90
    ),
)

_IMAGENET_LIKE = FractalsConfig(
    name="imagenet_like",
    description="1,000 classes, JPEGs of 500x375 or 375x500 and about 110 KB, as many as ImageNet.",
    num_classes=1000,
    train_per_class=1281,
    validation_per_class=50,
    max_similarity=0.85,
    picture=Picture(
        width=500, height=375, upright_fraction=0.2, texture=(15.0, 45.0), jpeg_quality=92
    ),
)


def fractals_config(name: str, images_per_class: int | None = None) -> FractalsConfig:
    """Return the config called `name`, or a variant of it with another number of images.

    Args:
        name: "demo" or "imagenet_like".
        images_per_class: training images of each category; validation keeps its proportion,
            rounded up. A variant is named for its number ("demo_50"), and so is its folder.

    Raises:
        UserError: an unknown name, or fewer than one image.
    """
    known = {config.name: config for config in Fractals.BUILDER_CONFIGS}
    if name not in known:
        raise UserError(f"no fractals config {name!r}; there are: {', '.join(known)}")
    config = known[name]
    if images_per_class is None or images_per_class == config.train_per_class:
        return config
    if images_per_class < 1:
        raise UserError(f"images_per_class={images_per_class}; each class needs at least 1 image")
    return dataclasses.replace(  # type: ignore[call-arg]  # TFDS has no types for mypy to see.
        config,
        name=f"{name}_{images_per_class}",
        description=f"{config.description} Here with {images_per_class} images per class.",
        train_per_class=images_per_class,
        validation_per_class=-(
            -images_per_class * config.validation_per_class // config.train_per_class
        ),
    )


class Fractals(SplitWriting, skip_registration=True):  # type: ignore[call-arg]
    """Write images of iterated function systems, with the features and names of ImageNet.

    Attributes:
        progress: where set, called after each image with the number made so far.
        workers: processes that draw; by default one for each core that this one may use.
    """

    name = "fractals"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [_DEMO, _IMAGENET_LIKE]  # noqa: RUF012 (TFDS declares it)

    progress: Callable[[int], None] | None = None
    workers: int | None = None

    @property
    def total_examples(self) -> int:
        """How many images all splits hold together."""
        config = self.builder_config
        return config.num_classes * (config.train_per_class + config.validation_per_class)

    def _info(self) -> tfds.core.DatasetInfo:
        names = [f"fractal_{label:04}" for label in range(self.builder_config.num_classes)]
        return tfds.core.DatasetInfo(
            builder=self,
            description="Images of iterated function systems, made as FractalDB's are.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=names),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict]]]:
        del dl_manager  # Nothing is downloaded.
        config = self.builder_config
        systems = find_systems(_SEED, config.num_classes, config.max_similarity)
        made = itertools.count(1)
        return {split: self._generate_examples(split, systems, made) for split in _SPLITS}

    def _generate_examples(
        self, split: str, systems: list[System], made: Iterator[int]
    ) -> Iterator[tuple[str, dict]]:
        config = self.builder_config
        count = config.images_per_class(split)
        instances = (
            Instance(systems[label], config.picture, (_SEED, _SPLITS.index(split), label, number))
            for label, number in _places(config.num_classes, count)
        )
        workers = min(
            self.workers or usable_cores(), config.num_classes * count // _IMAGES_PER_WORKER
        )
        images = _draw_in_order(instances, workers)
        # The images first, so that the end of the list lets their generator end as well.
        for image, (label, number) in zip(images, _places(config.num_classes, count), strict=True):
            file_name = _file_name(split, label, number, config.num_classes)
            yield file_name, {"image": image, "label": label, "file_name": file_name}
            if self.progress is not None:
                self.progress(next(made))


def _places(num_classes: int, count: int) -> Iterator[tuple[int, int]]:
    """Go through all (label, number within the class), one of each class in turn."""
    for number in range(count):
        for label in range(num_classes):
            yield label, number


def _file_name(split: str, label: int, number: int, num_classes: int) -> str:
    """Name an image as ImageNet does: by class in training, by a running number otherwise."""
    if split == "train":
        return f"f{label:04}_{number}.JPEG"
    return f"fractals_{split[:3]}_{number * num_classes + label + 1:08}.JPEG"


def _draw_in_order(instances: Iterator[Instance], workers: int) -> Iterator[bytes]:
    """Draw in `workers` processes, a few tasks ahead of the reader, and keep the order."""
    tasks = iter(lambda: list(itertools.islice(instances, _IMAGES_PER_TASK)), [])
    if workers < 2:
        yield from itertools.chain.from_iterable(map(draw_jpegs, tasks))
        return
    # Not "fork": this process may have threads, and a lock that one holds would stay locked.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _begin_worker)
    pending: collections.deque[concurrent.futures.Future[list[bytes]]] = collections.deque()
    try:
        for task in tasks:
            pending.append(pool.submit(draw_jpegs, task))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise MachineError(
            "a process that draws images was killed, perhaps because memory ran out (dmesg); run "
            "the same command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Let a worker end when the process that started it does, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for that process, which ends this one.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers wait for the process that started them"
    parent.join()
    os._exit(1)
