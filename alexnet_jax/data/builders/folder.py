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
from alexnet_jax.data.decoding.images import FORMATS
from alexnet_jax.errors import UserError, printable
from alexnet_jax.system.progress import Progress


class Folder(RecordBuilder):
    """TFDS builder of the images in train/<class>/ and validation/<class>/ of the source.

    A label is a position in the sorted names of the training split's folders. An image's name is
    its path below the split's folder, "cat/0001.jpg". Files are stored as they are, whatever their
    format: reading with SkipDecoding gives the original bytes. Of an animation the first frame
    counts.

    Raises:
        UserError: the layout is another.
    """

    VERSION = tfds.core.Version("1.0.0")
    description = "Images of one's own, a folder for each class."
    needs_source = True

    def __init__(self, *, source: Path, **arguments: Any) -> None:
        self.splits = [split for split in self.splits if (source / split).is_dir()]
        if not self.splits:
            raise UserError(
                f"{source} has neither a folder train nor a folder validation; the layout "
                "expected is train/<class>/*.jpg and validation/<class>/*.jpg"
            )
        first = source / self.splits[0]
        self.class_names = [path.name for path in _visible(first) if path.is_dir()]
        if not self.class_names:
            raise UserError(f"{first} has no folders; each class needs one")
        self._left_out: list[Path] = []  # No images by their names.
        self._images = {split: self._find_images(source / split) for split in self.splits}
        super().__init__(source=source, **arguments)

    def source_bytes(self) -> int:
        """Return the size of all image files together."""
        return sum(path.stat().st_size for paths in self._images.values() for path in paths)

    def _find_images(self, split: Path) -> list[Path]:
        folders = [path for path in _visible(split) if path.is_dir()]
        unknown = [folder.name for folder in folders if folder.name not in self.class_names]
        if unknown:
            raise UserError(
                f"{split} has the classes {', '.join(unknown[:5])}, which "
                f"{split.parent / 'train'} has not; training never sees them"
            )
        known = Image.registered_extensions().items()
        extensions = {extension for extension, name in known if name in FORMATS}
        found: list[Path] = []
        for folder in folders:
            there = _visible(folder)
            images = [p for p in there if p.suffix.lower() in extensions and p.is_file()]
            if not images and split.name == "train":
                raise UserError(f"class folder {folder} holds no images; fill or remove it")
            found += images
            self._left_out += sorted(set(there) - set(images))
        return found

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        for split in sorted({"train", "validation"} - set(self.splits)):
            print(f"no folder {self.source}/{split}: no {split} split", file=sys.stderr)
        if self._left_out:
            print(
                f"left out: {len(self._left_out)} that are no images by their names, "
                f"the first is {printable(self._left_out[0])}",
                file=sys.stderr,
            )
        return super()._split_generators(dl_manager)

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        paths = self._images[split]
        with Progress(f"reading {split}", len(paths), "images") as progress:
            for path in paths:
                # A name that is no UTF-8 cannot be stored as text; its odd bytes become \xNN.
                raw_name = os.fsencode(f"{path.parent.name}/{path.name}")
                name = raw_name.decode(errors="backslashreplace")
                yield SourceImage(name, path.parent.name, origin=str(path), data=path)
                progress.advance(1)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
