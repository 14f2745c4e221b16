"""People's own images as a TFDS data set: a folder for each split, in it one for each class."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image

from alexnet_jax.data.builders.checking import ImageCheck, SourceImage, examples
from alexnet_jax.data.builders.split_writing import SplitWriting
from alexnet_jax.data.images import FORMATS
from alexnet_jax.data.progress import Progress
from alexnet_jax.errors import UserError, printable

SPLITS = ("train", "validation")


class ImageFolder:
    """The images found in a source directory.

    Attributes:
        class_names: the sorted names of the training split's folders (of the validation
            split's where there is no training split); a label is a position in it.
        images: each existing split's files, sorted.
        left_out: files and folders that are no images by their name.
    """

    def __init__(self, source: Path) -> None:
        found = [split for split in SPLITS if (source / split).is_dir()]
        if not found:
            raise UserError(
                f"{source} has neither a folder train nor a folder validation; the layout "
                "expected is train/<class>/*.jpg and validation/<class>/*.jpg"
            )
        self.source = source
        self.class_names = [path.name for path in _class_folders(source / found[0])]
        if not self.class_names:
            raise UserError(f"{source / found[0]} has no folders; each class needs one")
        self.left_out: list[Path] = []
        self.images = {split: self._find_images(split) for split in found}

    def total_bytes(self) -> int:
        """Return the size of all image files together."""
        return sum(path.stat().st_size for paths in self.images.values() for path in paths)

    def _find_images(self, split: str) -> list[Path]:
        folders = _class_folders(self.source / split)
        unknown = sorted({folder.name for folder in folders} - set(self.class_names))
        if unknown:
            raise UserError(
                f"{self.source / split} has the classes {', '.join(unknown[:5])}, which "
                f"{self.source / SPLITS[0]} has not; training never sees them"
            )
        paths: list[Path] = []
        for folder in folders:
            in_class = self._images_in(folder)
            if not in_class and split == SPLITS[0]:
                raise UserError(f"class folder {folder} holds no images; fill or remove it")
            paths += in_class
        return paths

    def _images_in(self, folder: Path) -> list[Path]:
        extensions = _image_extensions()
        visible = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        images = [path for path in visible if path.suffix.lower() in extensions and path.is_file()]
        self.left_out += sorted(set(visible) - set(images))
        return images


class Folder(SplitWriting, skip_registration=True):  # type: ignore[call-arg]
    """TFDS builder `folder`: features image (bytes as they are), label, file_name.

    An image's name is its path below the split's folder, "cat/0001.jpg". Files are stored as they
    are, whatever their format: reading with SkipDecoding gives the original bytes. Of an
    animation the first frame counts.

    Attributes:
        check: what became of the images, after preparation.
    """

    name = "folder"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, folder: ImageFolder, check: ImageCheck, **arguments: Any) -> None:
        """Args: `folder` to prepare from, `check` of it; the rest as for any TFDS builder."""
        self._folder = folder
        self.check = check
        super().__init__(**arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Images of one's own, a folder for each class.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(),
                    "label": tfds.features.ClassLabel(names=self._folder.class_names),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        for split in sorted(set(SPLITS) - set(self._folder.images)):
            print(f"no folder {self._folder.source / split}: no {split} split", file=sys.stderr)
        if self._folder.left_out:
            print(
                f"left out: {len(self._folder.left_out)} that are no images by their names, "
                f"the first is {printable(self._folder.left_out[0])}",
                file=sys.stderr,
            )
        return {split: self._generate_examples(split) for split in self._folder.images}

    def _generate_examples(self, split: str) -> Iterator[Any]:
        paths = self._folder.images[split]
        with Progress(f"reading {split}", len(paths), "images") as progress:
            yield from examples(_source_images(paths, progress), self.check)


def _source_images(paths: Iterable[Path], progress: Progress) -> Iterator[SourceImage]:
    for path in paths:
        # A name that is no UTF-8 cannot be stored as text; its odd bytes are shown as \xNN.
        name = os.fsencode(f"{path.parent.name}/{path.name}").decode(errors="backslashreplace")
        yield SourceImage(name, path.parent.name, origin=str(path), data=path)
        progress.advance(1)


def _class_folders(split: Path) -> list[Path]:
    return sorted(
        path for path in split.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _image_extensions() -> frozenset[str]:
    """Return the extensions, lower case, of the formats that are read."""
    known = Image.registered_extensions().items()
    return frozenset(extension for extension, name in known if name in FORMATS)
