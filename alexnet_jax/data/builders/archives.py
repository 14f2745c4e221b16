"""Reading tar archives from end to end, once, without ever holding more than one file of them."""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from alexnet_jax.errors import UserError, printable

_BLOCK = 512
_READ_BYTES = 1 << 20
_MOST_FILE_BYTES = 1 << 28  # Far above any image of ImageNet; a header may claim any number.
# What tarfile raises for damaged headers: ValueError for a number of 5,000 digits, for example.
_TAR_ERRORS = (tarfile.TarError, ValueError, ArithmeticError, LookupError, EOFError)


@dataclass(frozen=True)
class ArchiveFile:
    """A file in an archive: its name without folders, its bytes, and the archives around it."""

    name: str
    data: bytes
    inside: tuple[str, ...]  # Innermost first: ("n01440764.tar", "ILSVRC2012_img_train.tar").

    @property
    def origin(self) -> str:
        """Say where the file lies: "a.JPEG in b.tar of c.tar"."""
        return f"{self.name} in {' of '.join(self.inside)}"


def read_archive(
    path: Path, advance: Callable[[int], None], *, nested: bool = False
) -> Iterator[ArchiveFile]:
    """Yield the files of a tar archive in the order in which they lie there.

    Python's tarfile takes a cut or damaged header for the archive's end; here every archive,
    also a nested one, must end with the block of zeros that closes a tar.

    Args:
        path: the archive.
        advance: told about the bytes as they are read.
        nested: the archive's members are tar archives, and the files lie in those.

    Raises:
        UserError: the archive is cut short or damaged; says how far it could be read.
    """
    counted = _CountedFile(path, advance)
    with io.BufferedReader(counted) as stream, path.open("rb") as side:
        walk = _Walk(path, counted, stream, side)
        yield from walk.nested_files() if nested else walk.files()


def require_complete(path: Path, official_bytes: int) -> None:
    """Find an archive that was cut short before any work is spent on it.

    Args:
        path: the archive.
        official_bytes: how long the original is, for the message only.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < _BLOCK or not _is_end_block(file, size - _BLOCK):
            raise UserError(
                f"{path} is cut short: after {size:,} bytes it stops without the end mark of a "
                f"tar archive (the official file has {official_bytes:,} bytes); fetch it again"
            )


class _Walk:
    """One pass over an archive, with what must be known when it breaks off."""

    def __init__(
        self, path: Path, counted: "_CountedFile", stream: IO[bytes], side: IO[bytes]
    ) -> None:
        self._path, self._counted, self._stream, self._side = path, counted, stream, side
        self._count = 0

    def files(self) -> Iterator[ArchiveFile]:
        for member, file in self._members(self._stream, 0, self._path.name):
            yield self._read(member, file, self._path.name, (self._path.name,))

    def nested_files(self) -> Iterator[ArchiveFile]:
        for outer, archive in self._members(self._stream, 0, self._path.name):
            inner_name = PurePosixPath(outer.name).name
            where = f"{inner_name} of {self._path.name}"
            for member, file in self._members(archive, outer.offset_data, where):
                yield self._read(member, file, where, (inner_name, self._path.name))

    def _read(
        self, member: tarfile.TarInfo, file: IO[bytes], where: str, inside: tuple[str, ...]
    ) -> ArchiveFile:
        if member.issparse() or not 0 <= member.size <= _MOST_FILE_BYTES:
            raise UserError(
                f"{printable(member.name)} in {where} of {self._path} claims {member.size:,} bytes"
                f"{', most of them not in the archive' if member.issparse() else ''}; no image is "
                "like that, so this is not the official archive"
            )
        try:
            data = file.read()
        except _TAR_ERRORS as error:
            raise self._broken(where, error) from error
        self._count += 1
        return ArchiveFile(PurePosixPath(member.name).name, data, inside)

    def _members(
        self, stream: IO[bytes], start: int, where: str
    ) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
        """Yield the visible files of the archive that starts at byte `start` of the file."""
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_READ_BYTES) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    # macOS adds "._name" files to the archives it makes.
                    if file is not None and not PurePosixPath(member.name).name.startswith("."):
                        yield member, file
                if not _is_end_block(self._side, start + archive.offset):
                    raise tarfile.ReadError("no end mark")
        except _TAR_ERRORS as error:
            raise self._broken(where, error) from error

    def _broken(self, where: str, error: Exception) -> UserError:
        return UserError(
            f"{where} is cut short or damaged ({error}) after {self._count:,} images and "
            f"{self._counted.count:,} of {self._path.stat().st_size:,} bytes of {self._path}; "
            "fetch it again"
        )


class _CountedFile(io.FileIO):
    """A file that reports how much of it has been read."""

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        super().__init__(path)
        self._advance = advance
        self.count = 0

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.count += count
        self._advance(count)
        return count


def _is_end_block(file: IO[bytes], position: int) -> bool:
    file.seek(position)
    return file.read(_BLOCK) == bytes(_BLOCK)
