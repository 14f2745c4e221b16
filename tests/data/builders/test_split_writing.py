import numpy as np
import pytest
import tensorflow_datasets as tfds

from alexnet_jax.data.builders.fractals import Fractals
from alexnet_jax.data.builders.split_writing import SplitWriting

IMAGES = [np.random.default_rng(n).bytes(70_000) for n in range(2_000)]  # Two shards of 64 MiB.


def make_builder(*bases):
    class Made(*bases, skip_registration=True):
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
            for number, image in enumerate(IMAGES):
                yield f"{number}.jpg", {"image": image, "file_name": f"{number}.jpg"}

    return Made


def files(data_dir):
    return {path.name: path.read_bytes() for path in data_dir.glob("made/1.0.0/*")}


@pytest.mark.filterwarnings("ignore")  # TFDS's own progress bars, not what is tested.
def test_files_are_byte_for_byte_those_of_tfds(tmp_path):
    tfds.disable_progress_bar()
    for name, bases in {
        "ours": (SplitWriting, tfds.core.GeneratorBasedBuilder),
        "theirs": (tfds.core.GeneratorBasedBuilder,),
    }.items():
        builder = make_builder(*bases)(data_dir=tmp_path / name, file_format="array_record")
        builder.download_and_prepare(download_dir=tmp_path / "downloads")
    ours, theirs = files(tmp_path / "ours"), files(tmp_path / "theirs")
    assert "made-train.array_record-00001-of-00002" in ours
    assert ours == theirs


def test_fractals_are_written_by_it_too():
    # TFDS's own writer asks for TensorFlow as soon as a split exceeds 1 GB.
    assert issubclass(Fractals, SplitWriting)
