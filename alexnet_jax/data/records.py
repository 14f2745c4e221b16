"""Reading a prepared TFDS data set (ArrayRecord files) at any index."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow_datasets.proto import tf_example_pb2

from alexnet_jax.data.dataset_info import find_features, find_versions, resolve_split
from alexnet_jax.errors import UserError, printable
from alexnet_jax.system.process import allow_many_open_files


def dataset_directory(data_dir: str | Path, name: str) -> Path | None:
    """Return the newest prepared `data_dir/name/<version>`, or None; `name` as "fractals/demo"."""
    versions = find_versions(data_dir, name)
    return versions[-1].parent if versions else None


def open_builder(directory: Path) -> Any:
    """Open a prepared data set; raise UserError if its description is damaged."""
    try:
        return tfds.builder_from_directory(str(directory))
    except Exception as error:  # JSON's, protobuf's, TFDS's own, and others.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"the description of {directory} (dataset_info.json, features.json) cannot be read "
            f"({reason}); restore it, or remove the directory and prepare the data set again"
        ) from error


class Records:
    """The encoded images and labels of one split, read at any index, in any order.

    Attributes:
        directory: Folder of the records.
        files: Record files of the split, in the order of its examples.
        class_names: Names of the classes, by label, as the data set declares them.
        num_classes: Number of classes.
    """

    def __init__(self, data_dir: str | Path, name: str, split: str) -> None:
        directory = dataset_directory(data_dir, name)
        if directory is None:
            from alexnet_jax.data.builders.commands import missing  # Only messages need it.

            raise missing(data_dir, name)
        allow_many_open_files()
        builder = open_builder(directory)
        if builder.info.file_format != tfds.core.file_adapters.FileFormat.ARRAY_RECORD:
            raise UserError(
                f"{directory} holds {builder.info.file_format.value} files, which cannot be read "
                "in any order; prepare the data set again in another --data_dir, with "
                "file_format='array_record'"
            )
        split = resolve_split(split, builder.info.splits)
        if split not in builder.info.splits:
            raise UserError(
                f"{directory} has no split {split!r}, only {sorted(builder.info.splits)}; "
                "prepare the data set again from a source that holds it"
            )
        self.directory = directory
        self.files = sorted(directory.glob(f"*-{split}.array_record-*"))
        self._split = split
        self._features = find_features(builder.info.features, directory)
        self.class_names = self._features.class_names
        self.num_classes = len(self.class_names)
        self._shards = builder.info.splits[split].file_instructions
        self._source = builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return an example: image (encoded bytes), label (int), file_name (bytes, optional)."""
        try:
            # Parsing only these features takes half of the time of TFDS's general parser.
            features = tf_example_pb2.Example.FromString(self._source[int(index)]).features.feature
            example = {
                "image": features[self._features.image].bytes_list.value[0],
                "label": features[self._features.label].int64_list.value[0],
            }
            if "file_name" in features:
                example["file_name"] = features["file_name"].bytes_list.value[0]
            return example
        except (RuntimeError, DecodeError, LookupError) as error:  # ArrayRecord's is the first.
            raise self.damaged(index, error) from error

    def read(self, indices: Sequence[int] | np.ndarray) -> Iterator[dict[str, Any]]:
        """Yield the examples at `indices`; faster than ArrayRecord's own reading of many."""
        return (self[index] for index in indices)

    def damaged(
        self, index: int, error: Exception, example: Mapping[str, Any] | None = None
    ) -> UserError:
        """Return the error that names an unreadable example, its file, and what to do."""
        file_name = (example or {}).get("file_name", b"").decode(errors="backslashreplace")
        name = f" ({printable(file_name)})" if file_name else ""
        place, row = "a record behind the last", int(index)
        for shard in self._shards:  # In the order of the examples.
            if row < shard.take:
                place = f"record {shard.skip + row} of {Path(shard.filename).name}"
                break
            row -= shard.take
        return UserError(
            f"example {index}{name} of the {self._split} split in {self.directory} cannot be read: "
            f"{place}: {error}; restore the data set from a copy, or remove that "
            "directory and prepare it again, which leaves unreadable images out"
        )
