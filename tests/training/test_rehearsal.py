import jax
import numpy as np
import pytest

from alexnet_jax.data.pixels import DecodedRecords
from alexnet_jax.data.store import Store
from alexnet_jax.errors import UserError
from alexnet_jax.training.assembly import assemble
from alexnet_jax.training.rehearsal import find_material, rehearse


@pytest.mark.slow
def test_the_step_is_rehearsed_with_shapes_of_the_runs_own(config):
    rehearsed, run = rehearse(config).learner, assemble(config)
    of_rehearsed, of_run = (
        jax.tree.map(np.shape, learner.create_state()) for learner in (rehearsed, run)
    )
    assert of_rehearsed == of_run
    assert rehearsed.mesh == run.mesh
    assert rehearsed.preprocessing.mean.shape == run.preprocessing.mean.shape


def test_a_config_that_cannot_be_is_refused_without_its_data(config, tmp_path):
    config.data.dir = str(tmp_path)
    config.data.crop_size = 20
    with pytest.raises(UserError, match="cannot take crops of 20 pixels"):
        rehearse(config)


def test_missing_data_say_what_to_run(config, tmp_path):
    config.data.dir = str(tmp_path)
    assert "python -m alexnet_jax.prepare --dataset=fractals/demo" in find_material(config)


def test_a_missing_store_says_what_to_run(config):
    config.data.source = "store"
    assert find_material(config).endswith("--image_size=96 --store_only")


def test_the_files_of_records_are_those_of_the_training_split(config):
    material = find_material(config)
    assert isinstance(material.opened, DecodedRecords)
    (file,) = material.files
    assert "-train.array_record-" in file.name


def test_the_files_of_a_store_are_the_shards_of_the_training_split(config, stored_fractals):
    config.data.update(dir=str(stored_fractals), source="store")
    material = find_material(config)
    assert isinstance(material.opened, Store)
    assert sum(len(np.load(file)) for file in material.files) == len(material.batches.pixels)
