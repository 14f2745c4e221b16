"""Names for the outputs of a network whose file names none."""

IMAGENET_CLASSES = 1000


def name_classes(count: int) -> list[str]:
    """Return a name for each class.

    1,000 classes are taken for those of ILSVRC-2012: torchvision and Caffe count them as TFDS does,
    by the order of their synsets' numbers. Others are numbered.
    """
    if count == IMAGENET_CLASSES:
        # Imported here because TFDS takes seconds to load.
        from alexnet_jax.data.builders.imagenet2012 import validation_labels

        return sorted(set(validation_labels()))
    return [f"class {number}" for number in range(count)]
