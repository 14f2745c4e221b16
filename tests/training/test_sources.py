"""Records, store and device: the same arrays, the same bits, one run across all three."""

import shutil

import numpy as np
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.train import train_and_evaluate

pytestmark = pytest.mark.slow

SOURCES = ("records", "store", "device")


@pytest.fixture
def stored_config(config, stored_fractals):
    config.data.dir = str(stored_fractals)
    return config


def read_all(config, source, kind):
    config.data.source = source
    run = build_run(config)
    return list(prefetch_to_device(getattr(run, kind), 0, run.threads, run.experiment.mesh))


@pytest.mark.parametrize("kind", ["training", "validation"])
def test_the_arrays_are_identical_whichever_the_source(stored_config, kind):
    expected = read_all(stored_config, "records", kind)
    assert expected
    for source in ("store", "device"):
        for one, other in zip(read_all(stored_config, source, kind), expected, strict=True):
            for name in other:
                np.testing.assert_array_equal(one[name], other[name])


def test_a_run_that_changes_its_source_twice_ends_with_the_same_bits(
    stored_config, finished, tmp_path
):
    whole = finished[1]  # Its schedule is constant: stopping early changes nothing.
    for steps, source in ((2, "records"), (4, "store"), (6, "device")):
        stored_config.data.source = source
        stored_config.train.steps = steps
        mixed = train_and_evaluate(stored_config, tmp_path / "mixed", ignore_config=True)
    assert mixed["step"] == whole["step"]
    assert mixed["parameters_sha256"] == whole["parameters_sha256"]
    assert mixed["ten_crop"] == whole["ten_crop"]


def test_a_store_alone_is_enough_to_train_and_test(stored_config, stored_fractals, tmp_path):
    store = next(stored_fractals.glob("fractals/*/*/pixels_96"))
    shutil.copytree(store, tmp_path / "local" / store.relative_to(stored_fractals))
    stored_config.data.update(dir=str(tmp_path / "local"), source="store")
    stored_config.train.steps = 2
    result = train_and_evaluate(stored_config, tmp_path / "run")
    assert evaluate_workdirs([str(tmp_path / "run")], "center")["center"] == result["center"]


@pytest.mark.parametrize("source", ["store", "device"])
def test_without_a_store_it_says_what_to_run(config, source):
    config.data.source = source
    with pytest.raises(
        UserError, match=r"no pixel store of .* make it with: .*--image_size=96 --store_only"
    ):
        build_run(config)


def test_an_unknown_source_lists_the_known_ones(config):
    config.data.source = "cloud"
    with pytest.raises(UserError, match="'cloud'; the known ones: records, store, device"):
        build_run(config)
