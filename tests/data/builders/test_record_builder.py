import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from alexnet_jax.data.builders import DATA_SETS
from alexnet_jax.data.builders.record_builder import RecordBuilder

NUMBER, BYTES = 2_000, 70_000  # Of images, and in each: two shards of 64 MiB.


def make_builder(base, **options):
    class Made(base, **options):
        name = "made"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {"image": tfds.features.Image(), "file_name": tfds.features.Text()}
                ),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(NUMBER):
                image = np.random.default_rng(number).bytes(BYTES)
                yield f"{number}.jpg", {"image": image, "file_name": f"{number}.jpg"}

    return Made


def files(data_dir):
    """The files by name: the examples of an ArrayRecord, in their order, else the bytes."""
    return {
        path.name: examples(path) if "array_record" in path.name else path.read_bytes()
        for path in data_dir.glob("made/1.0.0/*")
    }


def examples(path):
    reader = ArrayRecordReader(str(path))
    found = [tf_example_pb2.Example.FromString(record) for record in reader.read_all()]
    reader.close()
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TFDS's own progress bars, not what is tested.
def test_files_hold_the_examples_of_tfds_in_its_order(tmp_path):
    tfds.disable_progress_bar()
    for name, made in {
        "ours": make_builder(RecordBuilder),
        "theirs": make_builder(tfds.core.GeneratorBasedBuilder, skip_registration=True),
    }.items():
        builder = made(data_dir=tmp_path / name, file_format="array_record")
        builder.download_and_prepare(download_dir=tmp_path / "downloads")
    ours, theirs = files(tmp_path / "ours"), files(tmp_path / "theirs")
    assert "made-train.array_record-00001-of-00002" in ours
    assert ours == theirs


@pytest.mark.slow
def test_features_are_serialized_in_the_order_of_their_names(tmp_path):
    # Protobuf's own order of a map changes from process to process, and with it the files' bytes.
    builder = make_builder(RecordBuilder)(data_dir=tmp_path)
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    reader = ArrayRecordReader(str(next(tmp_path.glob("made/1.0.0/*-00000-of-*"))))
    for record in reader.read(0, 20):
        assert record.index(b"file_name") < record.index(b"\n\x05image")
    reader.close()


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_is_written_by_it(name):
    # TFDS's own writer asks for TensorFlow as soon as a split exceeds 1 GB.
    assert issubclass(DATA_SETS[name], RecordBuilder)
    assert DATA_SETS[name]._write_split is RecordBuilder._write_split
