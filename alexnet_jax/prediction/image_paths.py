"""The image files that a command's arguments name: files, folders and standard input."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from PIL import Image

from alexnet_jax.data.decoding.images import FORMATS
from alexnet_jax.errors import UserError

STDIN = "-"


def find_images(arguments: Sequence[str], lines: Iterable[bytes]) -> Iterator[Path]:
    """Yield the images that the arguments name, in their order, without holding them all.

    Args:
        arguments: a file, whatever its name; a folder: see `images_below`; "-": `lines`.
        lines: paths, one a line, such as standard input; empty lines are skipped.
    """
    for argument in arguments:
        if argument == STDIN:
            names = (os.fsdecode(line.rstrip(b"\r\n")) for line in lines)
            yield from (Path(name) for name in names if name)
        elif Path(argument).is_dir():
            yield from images_below(Path(argument))
        else:
            yield Path(argument)


def count_images(arguments: Sequence[str]) -> int | None:
    """Return how many images the arguments name; None where standard input is among them.

    Raises:
        UserError: a folder holds no images.
    """
    counts = {}
    for argument in arguments:
        if Path(argument).is_dir():
            counts[argument] = sum(1 for _ in images_below(Path(argument)))
            if not counts[argument]:
                endings = ", ".join(sorted(_image_endings()))
                raise UserError(f"{argument} holds no images; their names end in one of {endings}")
    if STDIN in arguments:
        return None
    return sum(counts.get(argument, 1) for argument in arguments)


def images_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder that are images by their names, sorted.

    Names that begin with a dot are skipped, and links to folders, which could lead in circles.
    """
    # Only names are kept, of one folder at a time.
    with os.scandir(folder) as entries:
        visible = sorted(
            (entry.name, is_folder)
            for entry in entries
            if not entry.name.startswith(".")
            and ((is_folder := entry.is_dir(follow_symlinks=False)) or _is_image(entry))
        )
    for name, is_folder in visible:
        if is_folder:
            yield from images_below(folder / name)
        else:
            yield folder / name


def _is_image(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in _image_endings() and entry.is_file()


@cache
def _image_endings() -> frozenset[str]:
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in FORMATS)
