"""Decodes every image once while a data set is made, so that training never meets a bad one."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.images import MAX_MEGAPIXELS, read_image, read_image_file
from alexnet_jax.errors import UserError, printable

_CHECK_SIZE = 32  # Any size decodes the whole file; a small one costs the least scaling.
_SHOWN_IN_ERROR = 3


@dataclass(frozen=True)
class SourceImage:
    """An image file of the source, not yet decoded.

    Attributes:
        file_name: its name in the data set, and its key there.
        label: class name or number.
        origin: where the user finds it, for messages.
        data: its bytes, or the path to read them from.
        convert: turns the bytes into those to store, for the few files whose format must change;
            its second argument is the limit on an image's megapixels.
    """

    file_name: str
    label: str | int
    origin: str
    data: bytes | Path
    convert: Callable[[bytes, float], bytes] | None = None


class ImageCheck:
    """Passes readable images on; names, counts and leaves out the others.

    Args:
        max_bad_images: how many images may be left out.
        max_megapixels: larger images are bad.

    Attributes:
        bad: a line for every image left out so far.
    """

    def __init__(self, max_bad_images: int, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self._max_bad_images = max_bad_images
        self._max_megapixels = max_megapixels
        self.bad: list[str] = []

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
