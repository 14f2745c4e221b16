"""How our TFDS builders write their splits: TFDS's files, without TensorFlow."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils.shard_utils import ShardConfig, get_shard_boundaries

from alexnet_jax.data.builders.hash_order import HashOrder
from alexnet_jax.data.progress import Progress
from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError


class SplitWriting(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A builder whose splits are sorted and written by us, whatever their size.

    Put it before the TFDS builder in the list of bases. `_split_generators` must return a
    dict of generators of (key, example).
    """

    def _log_download_bytes(self) -> None:
        """Say nothing, where TFDS prints that it is about to download: nothing is."""

    def _log_download_done(self) -> None:
        """Say nothing; the front door tells what was made."""

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> list[Any]:
        generators = self._split_generators(dl_manager)
        with full_disk_reported(Path(self.data_dir_root), f"the data set {self.name}"):
            return [self._write_split(name, rows) for name, rows in generators.items()]

    def _write_split(self, name: str, examples: Iterable[tuple[str | bytes, dict]]) -> Any:
        """Write one split's shards: the same names, order and contents as TFDS's own."""
        features = self.info.features
        serializer = ExampleSerializer(features.get_serialized_info())
        with HashOrder(Path(self.data_path), salt=name) as order:
            for key, example in examples:
                encoded = serializer.get_tf_example(features.encode_example(example))
                # Otherwise the order of the features changes from process to process.
                order.add(key, encoded.SerializeToString(deterministic=True))
            if not order.count:
                raise UserError(f"split {name!r} of {self.name} would hold no image at all")
            template = self._get_filename_template(split_name=name)
            shards = ShardConfig().get_number_shards(order.total_bytes, order.count)
            ends = get_shard_boundaries(order.count, shards)
            lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
            with Progress(f"writing {name}", order.total_bytes, "B") as progress:
                examples_left = iter(order)
                for index, length in enumerate(lengths):
                    path = template.sharded_filepath(shard_index=index, num_shards=shards)
                    _write_shard(Path(path), islice(examples_left, length), progress)
        return tfds.core.SplitInfo(
            name=name,
            shard_lengths=lengths,
            num_bytes=order.total_bytes,
            filename_template=template,
        )


def _write_shard(path: Path, examples: Iterator[bytes], progress: Progress) -> None:
    # A group of one record is what makes every record readable by itself: TFDS's choice too.
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for example in examples:
        writer.write(example)
        progress.advance(len(example))
    writer.close()
