"""Small compressed tar archives (.tar.gz), read into memory; nothing is unpacked to the disk."""

import gzip
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from alexnet_jax.errors import UserError, printable

_READ_BYTES = 1 << 20
_MOST_FILE_BYTES = 1 << 28
_ERRORS = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, LookupError)


def read_gzipped(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the files of an archive that have these names, in any folder of it.

    Raises:
        UserError: the archive is damaged or cut short, holds a file twice, or names a path outside
            of itself.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_READ_BYTES) as archive:
                for member in archive:
                    name = _file_name(path, member)
                    if name not in names or not member.isfile():
                        continue
                    if name in found:
                        raise UserError(f"{path} holds {name} twice; fetch the official archive")
                    if member.issparse() or not 0 <= member.size <= _MOST_FILE_BYTES:
                        raise UserError(
                            f"{name} in {path} claims {member.size:,} bytes, more than "
                            f"{_MOST_FILE_BYTES:,}; fetch the official archive"
                        )
                    file = archive.extractfile(member)
                    assert file is not None, "it is a file"
                    found[name] = file.read()
            while stream.read(_READ_BYTES):  # gzip compares the checksum at the very end.
                pass
    except _ERRORS as error:
        raise UserError(f"{path} is cut short or damaged ({error}); fetch it again") from error
    return found


def _file_name(path: Path, member: tarfile.TarInfo) -> str:
    member_path = PurePosixPath(member.name)
    if member_path.is_absolute() or ".." in member_path.parts:
        raise UserError(
            f"{path} holds {printable(member.name)}, a path outside of the archive; fetch the "
            "official one"
        )
    return member_path.name
