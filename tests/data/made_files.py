"""Hand-made sources: small JPEGs, tar archives laid out as ImageNet's, folders of images."""

import io
import tarfile

import numpy as np
from PIL import Image

CAT, DOG, TENCH = "n02123045", "n02085620", "n01440764"


def jpeg(seed=0, width=40, height=30, mode="RGB", **options):
    """A JPEG of soft noise, so that neighboring pixels differ but compress."""
    channels = {"RGB": (3,), "L": (), "CMYK": (4,)}[mode]
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, *channels), dtype=np.uint8)
    image = Image.frombytes(mode, (5, 5), noise.tobytes()).resize((width, height))
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def tar(files):
    """A tar archive's bytes, of {name: bytes}."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def training_tar(classes):
    """The training archive's bytes, of {synset: {name: bytes}}."""
    return tar({f"{synset}.tar": tar(files) for synset, files in classes.items()})


def training_images(per_class=4):
    return {
        synset: {f"{synset}_{n}.JPEG": jpeg(100 * i + n) for n in range(per_class)}
        for i, synset in enumerate((CAT, DOG, TENCH))
    }


def validation_images(numbers=(1, 2, 77, 50_000)):
    return {f"ILSVRC2012_val_{n:08}.JPEG": jpeg(n) for n in numbers}


def write_source(directory, train=None, validation=None):
    """Write the archives of {synset: {name: bytes}} and {name: bytes}; None writes none."""
    directory.mkdir(parents=True, exist_ok=True)
    if train is not None:
        (directory / "ILSVRC2012_img_train.tar").write_bytes(training_tar(train))
    if validation is not None:
        (directory / "ILSVRC2012_img_val.tar").write_bytes(tar(validation))
    return directory
