"""Tar archives, read from end to end without unpacking anything to the disk."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Self

from alexnet_jax.errors import UserError, printable

_BLOCK = 512
_READ_BYTES = 1 << 20
_MOST_FILE_BYTES = 1 << 28  # Far above any image of ImageNet; a header may claim any number.
# What tarfile raises for damaged headers: ValueError for a number of 5,000 digits, for example.
_TAR_ERRORS = (tarfile.TarError, ValueError, ArithmeticError, LookupError, EOFError)


@dataclass(frozen=True)
class ArchiveFile:
    """A file in an archive."""

    name: str  # Without folders.
    data: bytes
    place: str  # "n01440764.tar of ILSVRC2012_img_train.tar".

    @property
    def origin(self) -> str:
        """The name and the place: "a.JPEG in b.tar of c.tar"."""
        return f"{self.name} in {self.place}"


def read_archive(
    path: Path, advance: Callable[[int], None], *, nested: bool = False
) -> Iterator[ArchiveFile]:
    """Yield the files of a tar archive in their order, one in memory at a time.

    Python's tarfile takes a cut or damaged header for the end of the archive. Here every archive,
    also a nested one, must end with the block of zeros that closes a tar. `advance` receives the
    number of bytes read since its last call. With `nested`, the members are archives, and the files
    are in those.

    Raises:
        UserError: the archive is cut short or damaged; the message says how far it is readable.
    """
    with path.open("rb") as stream:
        reported = 0
        for file in _Reader(path, stream).files(nested):
            position = stream.tell()
            advance(position - reported)
            reported = position
            yield file
        advance(path.stat().st_size - reported)


def require_complete(path: Path, official_bytes: int | None) -> None:
    """Raise UserError, with the original's length where it is known, if an archive is truncated."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < _BLOCK or not _is_end_block(file, size - _BLOCK):
            official = (
                f" (the official file has {official_bytes:,} bytes)" if official_bytes else ""
            )
            raise UserError(
                f"{path} is cut short: after {size:,} bytes it stops without the end mark of a "
                f"tar archive{official}; fetch it again"
            )


def read_gzipped(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the files of a small .tar.gz that have these names, in any folder of it.

    Raises:
        UserError: the archive is damaged or cut short, holds a file twice, or names a path outside
            of itself.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as stream:
            with _open_tar(stream) as archive:
                for member in archive:
                    name = _name_inside(path, member)
                    if name not in names or not member.isfile():
                        continue
                    if name in found:
                        raise UserError(f"{path} holds {name} twice; fetch the official archive")
                    if not _is_plausible(member):
                        raise UserError(
                            f"{name} in {path} claims {member.size:,} bytes, more than "
                            f"{_MOST_FILE_BYTES:,}; fetch the official archive"
                        )
                    file = archive.extractfile(member)
                    assert file is not None, "it is a file"
                    found[name] = file.read()
            while stream.read(_READ_BYTES):  # gzip compares the checksum at the very end.
                pass
    except (*_TAR_ERRORS, zlib.error, OSError) as error:
        raise UserError(f"{path} is cut short or damaged ({error}); fetch it again") from error
    return found


class _Reader:
    """One pass over an archive; counts its files for the error messages."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream
        self._count = 0

    def files(self, nested: bool) -> Iterator[ArchiveFile]:
        for member, file in self._members(self._stream, 0, self._path.name):
            if not nested:
                yield self._read(member, file, self._path.name)
                continue
            place = f"{PurePosixPath(member.name).name} of {self._path.name}"
            for inner, inner_file in self._members(file, member.offset_data, place):
                yield self._read(inner, inner_file, place)

    def _members(
        self, stream: IO[bytes], start: int, place: str
    ) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
        """Yield the visible files of the archive that starts at byte `start` of the file."""
        try:
            with _open_tar(stream) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    # macOS adds "._name" files to the archives that it makes.
                    if file is not None and not PurePosixPath(member.name).name.startswith("."):
                        yield member, file
                if not _is_end_block(self._stream, start + archive.offset):
                    raise tarfile.ReadError("no end mark")
        except _TAR_ERRORS as error:
            raise self._broken(place, error) from error

    def _read(self, member: tarfile.TarInfo, file: IO[bytes], place: str) -> ArchiveFile:
        if not _is_plausible(member):
            raise UserError(
                f"{printable(member.name)} in {place} of {self._path} claims {member.size:,} bytes"
                f"{', most of them not in the archive' if member.issparse() else ''}; no image is "
                "like that, so this is not the official archive"
            )
        try:
            data = file.read()
        except _TAR_ERRORS as error:
            raise self._broken(place, error) from error
        self._count += 1
        return ArchiveFile(PurePosixPath(member.name).name, data, place)

    def _broken(self, place: str, error: Exception) -> UserError:
        return UserError(
            f"{place} is cut short or damaged ({error}) after {self._count:,} images and "
            f"{self._stream.tell():,} of {self._path.stat().st_size:,} bytes of {self._path}; "
            "fetch it again"
        )


class _Member(tarfile.TarInfo):
    """A member whose broken header is an error: tarfile would take it for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _open_tar(stream: IO[bytes] | gzip.GzipFile) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|", bufsize=_READ_BYTES, tarinfo=_Member)


def _is_plausible(member: tarfile.TarInfo) -> bool:
    return not member.issparse() and 0 <= member.size <= _MOST_FILE_BYTES


def _is_end_block(file: IO[bytes], position: int) -> bool:
    return os.pread(file.fileno(), _BLOCK, position) == bytes(_BLOCK)


def _name_inside(path: Path, member: tarfile.TarInfo) -> str:
    """Return a member's name without folders; UserError if its path leaves the archive."""
    member_path = PurePosixPath(member.name)
    if member_path.is_absolute() or ".." in member_path.parts:
        raise UserError(
            f"{path} holds {printable(member.name)}, a path outside of the archive; fetch the "
            "official one"
        )
    return member_path.name
