"""Four CPU devices for every test, one small data set, one short run."""

import os
import tempfile
from pathlib import Path

import pytest

# Before JAX starts: programs compiled by one test serve the others, and their subprocesses.
_CACHE = tempfile.TemporaryDirectory(prefix="alexnet_jax_xla_")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)

from alexnet_jax.data.preparation import Request, prepare_dataset  # noqa: E402
from configs import demo  # noqa: E402

REPOSITORY = Path(__file__).parent.parent
FRACTALS = "fractals/demo_50"


@pytest.fixture(scope="session")
def fractals_dir(tmp_path_factory):
    """A data_dir with fractals/demo of 50 training images a class."""
    data_dir = tmp_path_factory.mktemp("fractals")
    prepare_dataset(Request("fractals/demo", data_dir, images_per_class=50))
    return data_dir


def short_config(data_dir):
    """The demo's config, cut to six steps of 32 images; a test every four steps."""
    config = demo.get_config()
    config.data.update(dir=str(data_dir), name=FRACTALS)
    config.train.update(batch_size=32, steps=6)
    config.eval.update(every_steps=4, batch_size=32)
    config.checkpoint.every_steps = 2
    config.log.every_steps = 2
    return config


@pytest.fixture
def config(fractals_dir):
    """A config of one's own, to change."""
    return short_config(fractals_dir)
