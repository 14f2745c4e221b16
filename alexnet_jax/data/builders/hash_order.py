"""TFDS's shuffle, without TensorFlow: examples come back in the order of their keys' hashes.

TFDS's own shuffler (`tensorflow_datasets.core.shuffle`) opens its temporary files through
TensorFlow as soon as a split exceeds 1 GB. This one gives the same order, so a prepared data
set holds the examples as TFDS would have written them.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tensorflow_datasets.core.hashing import Hasher
from tensorflow_datasets.proto import tf_example_pb2

from alexnet_jax.errors import UserError

_MEMORY_BYTES = 256 << 20
# ImageNet's 150 GB make buckets of 0.3 GB, each sorted in memory. The number stays under the
# 1,024 open files that most systems allow.
_BUCKETS = 512
_BUCKET_BUFFER_BYTES = 256 << 10
_HEADER = struct.Struct(">16sQ")  # The hash, and the number of bytes that follow.


class HashOrder:
    """Take serialized examples in any order, give them back in hash order.

    A small split stays in memory. A larger one goes through files, one for each range of hashes;
    each is read, sorted, and removed before the next, so the disk holds every example about once.

    Attributes:
        count: number of examples added.
        total_bytes: their serialized size.
    """

    def __init__(self, directory: Path, salt: str, memory_bytes: int = _MEMORY_BYTES) -> None:
        """Args: `directory` for the temporary files; `salt`: TFDS uses the split's name."""
        self._directory = directory
        self._hasher = Hasher(salt)
        self._memory_bytes = memory_bytes
        self._held: list[tuple[bytes, bytes]] = []
        self._files: dict[int, BinaryIO] = {}
        self.count = 0
        self.total_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, file in self._files.items():
            file.close()
            self._path(number).unlink(missing_ok=True)
        self._files.clear()

    def add(self, key: str | bytes, data: bytes) -> None:
        """Add one serialized example under its key."""
        digest = self._hasher.hash_key(key).to_bytes(16, "big")
        self.count += 1
        self.total_bytes += len(data)
        if self._files:
            self._spill(digest, data)
            return
        self._held.append((digest, data))
        if self.total_bytes > self._memory_bytes:
            for held_digest, held_data in self._held:
                self._spill(held_digest, held_data)
            self._held.clear()

    def __iter__(self) -> Iterator[bytes]:
        previous = b""
        for digest, data in self._sorted():
            if digest == previous:
                raise UserError(f"two images have the same name, {_file_name(data)!r}")
            previous = digest
            yield data

    def _spill(self, digest: bytes, data: bytes) -> None:
        number = int.from_bytes(digest[:8], "big") * _BUCKETS >> 64
        if number not in self._files:
            self._files[number] = self._path(number).open("wb", buffering=_BUCKET_BUFFER_BYTES)
        self._files[number].write(_HEADER.pack(digest, len(data)))
        self._files[number].write(data)

    def _sorted(self) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(self._held)
        # Every buffer is written before a bucket is read: a full disk shows itself now.
        for file in self._files.values():
            file.flush()
        for number in sorted(self._files):
            bucket = sorted(self._read_bucket(number), reverse=True)
            self._files.pop(number).close()
            self._path(number).unlink()
            while bucket:
                yield bucket.pop()

    def _read_bucket(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        with self._path(number).open("rb") as file:
            while header := file.read(_HEADER.size):
                digest, size = _HEADER.unpack(header)
                yield digest, file.read(size)

    def _path(self, number: int) -> Path:
        return self._directory / f"bucket_{number:03}.tmp"


def _file_name(data: bytes) -> str:
    features = tf_example_pb2.Example.FromString(data).features.feature
    return features["file_name"].bytes_list.value[0].decode(errors="replace")
