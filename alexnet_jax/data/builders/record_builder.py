"""Base of our TFDS builders: checks images, writes the files of TFDS without TensorFlow."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils.shard_utils import ShardConfig, get_shard_boundaries

from alexnet_jax.data.builders.checking import ImageCheck, SourceImage
from alexnet_jax.data.builders.hash_order import HashOrder
from alexnet_jax.errors import UserError
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.system.progress import Progress

Examples = Iterator[tuple[str, dict[str, Any]]]


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """TFDS builder of a data set with the features image, label and file_name.

    A subclass defines `VERSION`, `class_names` and `_generate_images` (docs/extending.md), or
    overrides any method of TFDS. `source` is a directory, or a file where `source_may_be_file`;
    `check` decides about unreadable images.
    """

    description = ""
    class_names: Sequence[str]  # By label.
    splits: Sequence[str] = ("train", "validation")
    encoding_format: str | None = None  # Of the images, where all have the same.
    needs_source = False
    source_may_be_file = False  # One archive, beside a directory.
    image_size: int | None = None  # Side of the source's images, where all have the same.
    recipe = "imagenet"  # Whose sizes it is prepared for: "imagenet", "demo" or "small_data".

    def __init_subclass__(cls) -> None:
        super().__init_subclass__(skip_registration=True)

    def __init__(
        self, *, source: Path | None = None, check: ImageCheck | None = None, **arguments: Any
    ) -> None:
        self.source = source
        self.check = check or ImageCheck(max_bad_images=0)
        super().__init__(**{"file_format": "array_record", **arguments})

    @classmethod
    def find_config(cls, name: str = "", images_per_class: int | None = None) -> Any:
        """Return the config of that name, the first one for ""; None where there are none.

        Raises:
            UserError: there is no such config, or the number of images is given in the source.
        """
        if images_per_class is not None:
            raise UserError(f"--images_per_class is for fractals, not for {cls.name}")
        configs = {config.name: config for config in cls.BUILDER_CONFIGS}
        if name and name not in configs:
            known = f"there are: {', '.join(configs)}" if configs else "it has none"
            raise UserError(f"no {cls.name} config {name!r}; {known}")
        return configs[name] if name else next(iter(configs.values()), None)

    def find_difference(self, prepared: tfds.core.DatasetInfo) -> str | None:
        """Return what a data set that was prepared before has that the source has not."""
        if list(self.class_names) != prepared.features["label"].names:
            return f"other classes than {self.source}"
        if set(self.splits) != set(prepared.splits):
            return f"the splits {sorted(prepared.splits)}, {self.source} has {sorted(self.splits)}"
        return None

    def source_bytes(self) -> int:
        """Return about the size of the records, which is that of the source's images."""
        return 0

    def _generate_images(self, split: str) -> Iterator[SourceImage]:
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format=self.encoding_format),
                    "label": tfds.features.ClassLabel(names=self.class_names),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        return {split: self._generate_examples(split) for split in self.splits}

    def _generate_examples(self, split: str) -> Examples:
        for image, data in self.check.readable(self._generate_images(split)):
            name = image.file_name
            yield name, {"image": data, "label": image.label, "file_name": name}

    def _log_download_bytes(self) -> None:
        """Print nothing: TFDS announces a download, and there is none."""

    def _log_download_done(self) -> None:
        """Print nothing: `prepare` prints a summary."""

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> list[Any]:
        generators = self._split_generators(dl_manager)
        with full_disk_reported(Path(self.data_dir_root), f"the data set {self.name}"):
            return [self._write_split(name, rows) for name, rows in generators.items()]

    def _write_split(self, name: str, examples: Examples) -> tfds.core.SplitInfo:
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
                remaining = iter(order)
                for index, length in enumerate(lengths):
                    path = template.sharded_filepath(shard_index=index, num_shards=shards)
                    # Groups of one record make every record readable by itself, as TFDS has it.
                    writer = ArrayRecordWriter(str(path), "group_size:1")
                    for record in islice(remaining, length):
                        writer.write(record)
                        progress.advance(len(record))
                    writer.close()
        return tfds.core.SplitInfo(
            name=name,
            shard_lengths=lengths,
            num_bytes=order.total_bytes,
            filename_template=template,
        )
