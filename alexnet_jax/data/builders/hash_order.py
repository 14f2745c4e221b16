"""The shuffle of TFDS without TensorFlow: examples in the order of their keys' hashes.

TFDS's own shuffler (`tensorflow_datasets.core.shuffle`) opens its temporary files with TensorFlow
as soon as a split exceeds 1 GB. This one gives the same order.
"""

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from tensorflow_datasets.core.hashing import Hasher
from tensorflow_datasets.proto import tf_example_pb2

from alexnet_jax.errors import UserError

_MEMORY_BYTES = 256 << 20
# ImageNet's 150 GB make buckets of 0.3 GB, each sorted in memory. The number stays below the
# 1,024 open files that most systems allow.
_BUCKETS = 512
_BUCKET_BUFFER_BYTES = 256 << 10
_HEADER = struct.Struct(">16sQ")  # The hash, and the number of bytes that follow.


class HashOrder:
    """Takes serialized examples in any order and yields them in hash order.

    A split of more than `memory_bytes` goes through temporary files in `directory`, one for each
    range of hashes. Each is read, sorted and freed before the next, so that the disk holds every
    example about once. The files have no names: however the process ends, none stays behind.
    TFDS's salt is the split's name.
    """

    def __init__(self, directory: Path, salt: str, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._directory, self._memory_bytes = directory, memory_bytes
        self._hasher = Hasher(salt)
        self._held: list[tuple[bytes, bytes]] = []  # Hash and data, as in the files.
        self._files: list[IO[bytes]] = []  # By range of hashes; none while memory suffices.
        self.count = 0  # Of the examples added.
        self.total_bytes = 0  # Their serialized size.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    def add(self, key: str | bytes, data: bytes) -> None:
        """Add one serialized example under its key."""
        self._held.append((self._hasher.hash_key(key).to_bytes(16, "big"), data))
        self.count += 1
        self.total_bytes += len(data)
        if self.total_bytes > self._memory_bytes:
            while len(self._files) < _BUCKETS:
                file = tempfile.TemporaryFile("wb", _BUCKET_BUFFER_BYTES, dir=self._directory)  # noqa: SIM115
                self._files.append(file)
            for digest, held in self._held:
                file = self._files[int.from_bytes(digest[:8], "big") * _BUCKETS >> 64]
                file.write(_HEADER.pack(digest, len(held)))
                file.write(held)
            self._held.clear()

    def __iter__(self) -> Iterator[bytes]:
        previous = b""
        for digest, data in self._sorted():
            if digest == previous:
                features = tf_example_pb2.Example.FromString(data).features.feature
                name = features["file_name"].bytes_list.value[0].decode(errors="replace")
                raise UserError(f"two images have the same name, {name!r}")
            previous = digest
            yield data

    def _sorted(self) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(self._held)
        # Every buffer is written before a bucket is read: a full disk shows itself now.
        for file in self._files:
            file.flush()
        for file in self._files:
            with file, open(file.fileno(), "rb", closefd=False) as reader:
                bucket = sorted(_read_bucket(reader), reverse=True)
            while bucket:
                yield bucket.pop()


def _read_bucket(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    file.seek(0)
    while header := file.read(_HEADER.size):
        digest, size = _HEADER.unpack(header)
        yield digest, file.read(size)
