"""Every image is decoded once while a data set is made, so that training never meets a bad one."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.images import MAX_MEGAPIXELS, read_image, read_image_file
from alexnet_jax.errors import UserError, printable

_CHECK_SIZE = 32  # Any size decodes the whole file; a small one spends least on scaling.
_SHOWN_IN_ERROR = 3


@dataclass(frozen=True)
class SourceImage:
    """An image file as found in the source, before it is known to be one.

    Attributes:
        file_name: what the data set will call it; also its key.
        label: class name or number.
        origin: where it lies, for the person who has to look at it.
        data: the bytes, or the path to read them from.
        convert: makes other bytes of them, for the few files whose format must change; also
            takes the limit on an image's megapixels.
    """

    file_name: str
    label: str | int
    origin: str
    data: bytes | Path
    convert: Callable[[bytes, float], bytes] | None = None


@dataclass(frozen=True)
class _Checked:
    image: SourceImage
    data: bytes
    problem: str | None


class ImageCheck:
    """Let readable images through; name, count and leave out the others.

    Attributes:
        bad: a line for every image left out so far.
    """

    def __init__(self, max_bad_images: int, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        """Args: how many images may be left out; above how many megapixels an image is bad."""
        self._max_bad_images = max_bad_images
        self._max_megapixels = max_megapixels
        self.bad: list[str] = []

    def readable(self, images: Iterable[SourceImage]) -> Iterator[tuple[SourceImage, bytes]]:
        """Yield the images that can be decoded, in order, each with the bytes to store.

        Raises:
            UserError: more images than allowed cannot be decoded.
        """
        for checked in bounded_map(partial(_check, max_megapixels=self._max_megapixels), images):
            if checked.problem is None:
                yield checked.image, checked.data
            else:
                self._leave_out(f"{checked.image.origin}: {checked.problem}")

    def _leave_out(self, line: str) -> None:
        self.bad.append(line)
        if len(self.bad) > self._max_bad_images:
            shown = "; ".join(self.bad[:_SHOWN_IN_ERROR])
            more = "; …" if len(self.bad) > _SHOWN_IN_ERROR else ""
            raise UserError(
                f"{len(self.bad)} images cannot be read, --max_bad_images={self._max_bad_images} "
                f"are allowed: {shown}{more}"
            )
        print(f"left out: {printable(line)}", file=sys.stderr)


def examples(
    images: Iterable[SourceImage], check: ImageCheck
) -> Iterator[tuple[str, dict[str, object]]]:
    """Turn images into what TFDS wants: a key, and the features image, label and file_name."""
    for image, data in check.readable(images):
        yield image.file_name, {"image": data, "label": image.label, "file_name": image.file_name}


def _check(image: SourceImage, max_megapixels: float) -> _Checked:
    wrong = partial(_Checked, image, b"")
    try:
        data = image.data
        if isinstance(data, Path):
            data = read_image_file(data, max_megapixels)
        if image.convert is not None:
            data = image.convert(data, max_megapixels)
        read_image(data, _CHECK_SIZE, max_megapixels=max_megapixels)
    except ValueError as error:
        return wrong(str(error))
    return _Checked(image, data, None)
