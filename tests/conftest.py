"""Four CPU devices for every test, one small data set, one short run."""

import os
import shutil
import tempfile

import pytest

# Before JAX starts: programs compiled by one test serve the others, and their subprocesses.
_CACHE = tempfile.TemporaryDirectory(prefix="alexnet_jax_xla_")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)

from cluster_runs import finish, options, start_together  # noqa: E402
from short_run import FRACTALS, short_config  # noqa: E402

from alexnet_jax.data.preparation import Request, prepare_dataset, prepare_store  # noqa: E402


@pytest.fixture(scope="session")
def fractals_dir(tmp_path_factory):
    """A data_dir with fractals/demo of 50 training images a class."""
    data_dir = tmp_path_factory.mktemp("fractals")
    prepare_dataset(Request("fractals/demo", data_dir, images_per_class=50))
    return data_dir


@pytest.fixture(scope="session")
def stored_fractals(fractals_dir, tmp_path_factory):
    """A data_dir with the same data set and its pixel store."""
    data_dir = tmp_path_factory.mktemp("stored") / "data"
    shutil.copytree(fractals_dir, data_dir)
    prepare_store(Request(FRACTALS, data_dir))
    return data_dir


@pytest.fixture(scope="session")
def two_processes(fractals_dir, tmp_path_factory):
    """The workdir of a whole run of two processes, and how each ended: (code, out, err)."""
    workdir = tmp_path_factory.mktemp("two_processes") / "run"
    return workdir, finish(start_together(2, options(fractals_dir, workdir)))


@pytest.fixture
def config(fractals_dir):
    """A config of one's own, to change."""
    return short_config(fractals_dir)
