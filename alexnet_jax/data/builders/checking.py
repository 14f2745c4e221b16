"""Decoding of every image while a data set is made, so that training never reads a damaged one."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS, read_image, read_image_file
from alexnet_jax.errors import UserError, printable
from alexnet_jax.system.bounded_map import bounded_map

_CHECK_SIZE = 32  # Any size decodes the whole file; a small one costs the least scaling.
_SHOWN_IN_ERROR = 3


@dataclass(frozen=True)
class SourceImage:
    """An image file of the source, not yet decoded."""

    file_name: str  # In the data set; also its key there.
    label: str | int  # Name or number of its class.
    origin: str  # Where the user finds it, for messages.
    data: bytes | Path  # The file, or where to read it.
    # Makes the bytes to store, where the format must change, of the file and the most megapixels.
    convert: Callable[[bytes, float], bytes] | None = None


class ImageCheck:
    """Passes readable images on; names and leaves out at most `max_bad_images` others."""

    def __init__(self, max_bad_images: int, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self._max_bad_images = max_bad_images
        self._max_megapixels = max_megapixels
        self.bad: list[str] = []  # A line for every image left out so far.

    def readable(self, images: Iterable[SourceImage]) -> Iterator[tuple[SourceImage, bytes]]:
        """Yield the images that can be decoded, in order, each with the bytes to store.

        Raises:
            UserError: more than `max_bad_images` cannot be decoded.
        """
        check = partial(_check, max_megapixels=self._max_megapixels)
        for image, data, problem in bounded_map(check, images):
            if problem is None:
                yield image, data
                continue
            self.bad.append(f"{image.origin}: {problem}")
            if len(self.bad) > self._max_bad_images:
                more = "; …" if len(self.bad) > _SHOWN_IN_ERROR else ""
                raise UserError(
                    f"{len(self.bad)} images cannot be read, --max_bad_images="
                    f"{self._max_bad_images} are allowed: "
                    f"{'; '.join(self.bad[:_SHOWN_IN_ERROR])}{more}"
                )
            print(f"left out: {printable(self.bad[-1])}", file=sys.stderr)


def _check(image: SourceImage, max_megapixels: float) -> tuple[SourceImage, bytes, str | None]:
    """Return the image, the bytes to store, and the problem with them if there is one."""
    try:
        data = image.data
        if isinstance(data, Path):
            data = read_image_file(data, max_megapixels)
        if image.convert is not None:
            data = image.convert(data, max_megapixels)
        read_image(data, _CHECK_SIZE, max_megapixels=max_megapixels)
    except ValueError as error:
        return image, b"", str(error)
    return image, data, None
