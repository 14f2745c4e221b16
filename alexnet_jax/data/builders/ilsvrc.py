"""Base of the builders of ImageNet's challenges (ILSVRC), from their official archives."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from alexnet_jax.data.builders.archives import ArchiveFile, read_archive, require_complete
from alexnet_jax.data.builders.checking import SourceImage
from alexnet_jax.data.builders.record_builder import Examples, RecordBuilder
from alexnet_jax.errors import UserError
from alexnet_jax.system.progress import Progress


class IlsvrcBuilder(RecordBuilder):
    """TFDS builder of the splits whose archives are in the source, read as streams.

    The training archive holds an archive for each synset, which is the class of its images. In the
    other splits, a label belongs to the number in the file's name. A subclass defines `challenge`,
    `archives` and `_read_labels`.
    """

    needs_source = True
    challenge: str  # "ILSVRC-2012".
    # The split, name and length of each official archive; the length is None where it is unknown.
    archives: Sequence[tuple[str, str, int | None]]

    def __init__(self, *, source: Path, **arguments: Any) -> None:
        paths = {split: source / name for split, name, _ in self.archives}
        self._paths = {split: path for split, path in paths.items() if path.is_file()}
        self.splits = list(self._paths)
        super().__init__(source=source, **arguments)

    def find_difference(self, prepared: tfds.core.DatasetInfo) -> str | None:
        """Find an archive that came later; one may have been removed."""
        missing = sorted(set(self.splits) - set(prepared.splits))
        return f"no {missing[0]} split, whose archive is in {self.source} now" if missing else None

    def source_bytes(self) -> int:
        """Return the size of the archives."""
        return sum(path.stat().st_size for path in self._paths.values())

    def _read_labels(self, split: str) -> Sequence[str]:
        """Return the synset of every image of a split other than train, in their order."""
        raise NotImplementedError

    def _conversion(self, file: ArchiveFile) -> Callable[[bytes, float], bytes] | None:
        """Return what makes the bytes to store of those in the archive; None: they are stored."""
        return None

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        if not self._paths:
            names = ", ".join(name for _, name, _ in self.archives)
            raise UserError(
                f"none of {names} is in {self.source}; download them from "
                "https://image-net.org/download-images (at least one)"
            )
        for split, _, official_bytes in self.archives:
            if split in self._paths:
                require_complete(self._paths[split], official_bytes)
        self._synsets = frozenset(self.info.features["label"].names)
        # Now, because reading the training archive takes an hour.
        self._labels = {
            split: self._read_labels(split) for split in self.splits if split != "train"
        }
        return super()._split_generators(dl_manager)

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        path = self._paths[split]
        with Progress(f"reading {path.name}", path.stat().st_size, "B") as progress:
            for file in read_archive(path, progress.advance, nested=split == "train"):
                train = split == "train"
                label = self._synset_of(file) if train else _label(file, self._labels[split])
                convert = self._conversion(file)
                yield SourceImage(file.name, label, file.origin, file.data, convert)

    def _synset_of(self, file: ArchiveFile) -> str:
        class_archive, _, archive = file.place.partition(" of ")
        synset = class_archive.removesuffix(".tar")
        if synset not in self._synsets:
            raise UserError(
                f"{class_archive} in {archive} is named for none of the 1,000 synsets of "
                f"{self.challenge}; is this the training archive of its classification task?"
            )
        return synset


def _label(file: ArchiveFile, labels: Sequence[str]) -> str:
    match = re.search(r"(\d+)\.[A-Za-z]+$", file.name)
    if match is None:
        raise UserError(
            f"{file.origin} has no number in its name, so its label is unknown; names must be "
            "like ILSVRC2012_val_00000001.JPEG"
        )
    number = int(match[1])
    if not 1 <= number <= len(labels):
        raise UserError(f"{file.origin}: its number is not in 1..{len(labels)}")
    return labels[number - 1]
