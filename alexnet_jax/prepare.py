"""Make a data set: records for random access, statistics, a pixel store.

  ImageNet, from the two archives of https://image-net.org/download-images
  (ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar; one of them is enough):
    python -m alexnet_jax.prepare --dataset=imagenet2012 --source=DIR --data_dir=data

  ILSVRC-2010, with its test images, from the same place (see docs/data.md):
    python -m alexnet_jax.prepare --dataset=imagenet2010 --source=DIR --data_dir=data

  Your own images, DIR/train/<class>/*.jpg and DIR/validation/<class>/*.jpg (JPEG, PNG,
  GIF, BMP, PPM, TIFF, WebP or AVIF, up to --max_megapixels):
    python -m alexnet_jax.prepare --dataset=folder --source=DIR --data_dir=data

  Fractals, made on the spot, without a source:
    python -m alexnet_jax.prepare --dataset=fractals
    python -m alexnet_jax.prepare --dataset=fractals/imagenet_like --images_per_class=100

  MNIST, Fashion-MNIST or Kuzushiji-MNIST, from their files (train-images-idx3-ubyte.gz, ...):
    python -m alexnet_jax.prepare --dataset=fashion_mnist --source=DIR --data_dir=data

  CIFAR-10, from cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html:
    python -m alexnet_jax.prepare --dataset=cifar10 --source=FILE --data_dir=data

  A data set that TFDS prepared as ArrayRecord, with an image and a class (adds statistics):
    python -m alexnet_jax.prepare --dataset=tfds:food101 --data_dir=data

  With the pixel store, which training reads without decoding, or that alone (262 GB for both splits
  of ImageNet):
    python -m alexnet_jax.prepare --dataset=imagenet2012 --source=DIR --data_dir=data --store
    python -m alexnet_jax.prepare --dataset=imagenet2012 --data_dir=data --store_only

A second run makes only what is missing, such as the statistics for another --image_size.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from alexnet_jax import cli
from alexnet_jax.config.rules import MOST_MEGAPIXELS

_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "imagenet2012, imagenet2010, folder, fractals (fractals/demo), fractals/few, "
    "fractals/imagenet_like, mnist, fashion_mnist, kmnist, cifar10 or tfds:NAME[/CONFIG].",
)
_SOURCE = flags.DEFINE_string(
    "source",
    None,
    "Directory of the archives (imagenet2012, imagenet2010), of train and validation (folder), or "
    "of the files of the others; cifar10: or the archive itself.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Directory of all data sets.")
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side in pixels of the images in the statistics and in the pixel store. "
    "Default: 96 for fractals/demo and fractals/few, 28 for mnist, fashion_mnist and kmnist, "
    "32 for cifar10, else 256.",
    lower_bound=1,
)
_IMAGES_PER_CLASS = flags.DEFINE_integer(
    "images_per_class", None, "Training images of each class; fractals only.", lower_bound=1
)
_MAX_BAD_IMAGES = flags.DEFINE_integer(
    "max_bad_images", 10, "Unreadable images to leave out, each with a message.", lower_bound=0
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    64,
    "Larger images count as unreadable; WebP and AVIF from two thirds of it.",
    lower_bound=0,
    upper_bound=MOST_MEGAPIXELS,
)
_STORE = flags.DEFINE_bool("store", False, "Write the pixel store too.")
_STORE_ONLY = flags.DEFINE_bool("store_only", False, "Only write the pixel store of the records.")
_VERIFY = flags.DEFINE_bool("verify", False, "Only compare the pixel store with its checksums.")


def main(arguments: Sequence[str]) -> None:
    """Prepare the data set that the flags name."""
    cli.refuse_arguments(arguments)
    from alexnet_jax.data.builders.preparation import (
        Request,
        check_store,
        prepare_dataset,
        prepare_store,
    )

    logging.set_verbosity(logging.ERROR)  # TFDS remarks on every directory that it opens.
    request = Request(
        dataset=str(_DATASET.value),
        data_dir=Path(_DATA_DIR.value),
        source=Path(_SOURCE.value) if _SOURCE.value else None,
        image_size=_IMAGE_SIZE.value,
        images_per_class=_IMAGES_PER_CLASS.value,
        max_bad_images=_MAX_BAD_IMAGES.value,
        max_megapixels=_MAX_MEGAPIXELS.value,
        store=_STORE.value,
    )
    if _VERIFY.value:
        check_store(request)
    elif _STORE_ONLY.value:
        prepare_store(request)
    else:
        prepare_dataset(request)


if __name__ == "__main__":
    cli.run(main, required=["dataset"])
