"""The data set `folder`: the user's own images, in a folder for each class."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image

from alexnet_jax.data.builders.checking import SourceImage
from alexnet_jax.data.builders.record_builder import Examples, RecordBuilder
from alexnet_jax.data.images import FORMATS
from alexnet_jax.data.progress import Progress
from alexnet_jax.errors import UserError, printable


class ImageFolder:
    """The images found in a source directory.

    Attributes:
        class_names: the sorted names of the training split's folders (of the validation
            split's where there is no training split); a label is a position in it.
        images: each existing split's files, sorted.
        left_out: files and folders that are no images by their name.

    Raises:
        UserError: the layout is another.
    """

    def __init__(self, source: Path) -> None:
        found = [split for split in RecordBuilder.splits if (source / split).is_dir()]
        if not found:
            raise UserError(
                f"{source} has neither a folder train nor a folder validation; the layout "
                "expected is train/<class>/*.jpg and validation/<class>/*.jpg"
            )
        self.class_names = [path.name for path in _visible(source / found[0]) if path.is_dir()]
        if not self.class_names:
            raise UserError(f"{source / found[0]} has no folders; each class needs one")
        self.left_out: list[Path] = []
        self.images = {split: self._find_images(source / split) for split in found}

    def _find_images(self, split: Path) -> list[Path]:
        folders = [path for path in _visible(split) if path.is_dir()]
        unknown = sorted({folder.name for folder in folders} - set(self.class_names))
        if unknown:
            raise UserError(
                f"{split} has the classes {', '.join(unknown[:5])}, which "
                f"{split.parent / 'train'} has not; training never sees them"
            )
        known = Image.registered_extensions().items()
        extensions = {extension for extension, name in known if name in FORMATS}
        paths: list[Path] = []
        for folder in folders:
            there = _visible(folder)
            images = [path for path in there if path.suffix.lower() in extensions]
            images = [path for path in images if path.is_file()]
            if not images and split.name == "train":
                raise UserError(f"class folder {folder} holds no images; fill or remove it")
            paths += images
            self.left_out += sorted(set(there) - set(images))
        return paths


class Folder(RecordBuilder):
    """TFDS builder `folder`.

    An image's name is its path below the split's folder, "cat/0001.jpg". Files are stored as they
    are, whatever their format: reading with SkipDecoding gives the original bytes. Of an
    animation the first frame counts.
    """

    VERSION = tfds.core.Version("1.0.0")
    description = "Images of one's own, a folder for each class."
    needs_source = True

    def __init__(self, *, source: Path, **arguments: Any) -> None:
        self._folder = ImageFolder(source)
        super().__init__(source=source, **arguments)

    @property
    def class_names(self) -> list[str]:
        """The names of the folders."""
        return self._folder.class_names

    @classmethod
    def find_difference(cls, source: Path, prepared: tfds.core.DatasetInfo) -> str | None:
        """Compare classes and splits."""
        folder = ImageFolder(source)
        if folder.class_names != prepared.features["label"].names:
            return f"other classes than {source}"
        if set(folder.images) != set(prepared.splits):
            return f"the splits {sorted(prepared.splits)}, {source} has {sorted(folder.images)}"
        return None

    def source_bytes(self) -> int:
        """Return the size of all image files together."""
        return sum(path.stat().st_size for paths in self._folder.images.values() for path in paths)

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        images, left_out = self._folder.images, self._folder.left_out
        for split in sorted(set(self.splits) - set(images)):
            print(f"no folder {self.source}/{split}: no {split} split", file=sys.stderr)
        if left_out:
            print(
                f"left out: {len(left_out)} that are no images by their names, "
                f"the first is {printable(left_out[0])}",
                file=sys.stderr,
            )
        return {split: self._generate_examples(split) for split in images}

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        paths = self._folder.images[split]
        with Progress(f"reading {split}", len(paths), "images") as progress:
            for path in paths:
                # A name that is no UTF-8 cannot be stored as text; its odd bytes become \xNN.
                raw_name = os.fsencode(f"{path.parent.name}/{path.name}")
                name = raw_name.decode(errors="backslashreplace")
                yield SourceImage(name, path.parent.name, origin=str(path), data=path)
                progress.advance(1)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
