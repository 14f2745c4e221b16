"""Four CPU devices for every test, one small data set, one short run."""

import fcntl
import gc
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster_runs import QUICKLY_COMPILED, finish, options, start_together
from filelock import FileLock
from hypothesis import settings
from short_run import FRACTALS, short_config

# Before JAX starts: programs compiled by one test serve the others, their subprocesses and, under
# pytest-xdist, the other workers, which inherit these variables. With a limit JAX locks the folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="alexnet_jax_xla_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(4 * 2**30)
    # Compiling takes most of the time. `make test-peers` and the tests of the commands compile
    # as users do: XLA_FLAGS="".
    os.environ.setdefault("XLA_FLAGS", QUICKLY_COMPILED)

import jax

jax.config.update("jax_num_cpu_devices", 4)
# Sums of different dtypes or numbers of axes are written out, so that none changes unseen.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What tests make mostly stays, and looking for garbage among it took a tenth of the suite's time.
gc.set_threshold(50_000)

# The same few examples at every run, however slow the machine is.
settings.register_profile("stable", derandomize=True, max_examples=20, deadline=None, database=None)
settings.load_profile("stable")

from alexnet_jax.data.builders.preparation import Request, prepare_dataset, prepare_store  # noqa: E402

# Files that take half a minute or more begin first: begun last, one would keep a worker busy when
# the other has nothing left to do.
LONGEST = (
    # The first and the fourth exclude each other, by `only_ray`: in this order one worker has both.
    "test_slurm_sweep.py",
    "test_networks.py",
    "test_training.py",
    "test_ray_sweep.py",
    "test_distributed.py",
    "test_slurm.py",
    "test_docs_commands.py",
    "test_partitioned_ops.py",
    "test_resuming.py",
    "test_loop.py",
    "test_training_from_devices.py",
    "test_main.py",
    "test_step.py",
    "test_golden_run.py",
    "test_browser.py",
    "test_sweep.py",
    "test_golden_logits.py",
    "test_tour.py",
    "test_kubernetes.py",
    "test_data_facts.py",
)


def pytest_collection_modifyitems(items):
    """Put the longest files first; pytest-xdist keeps the order with --no-loadscope-reorder."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory):
    """The folder that the workers of pytest-xdist share."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
def make_once(of_all_workers):
    """A function that returns a folder of a name, made by the first worker that asks for it."""

    def make_once(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = of_all_workers / name, of_all_workers / f"{name}.made"
        with FileLock(of_all_workers / f"{name}.lock"):
            if not made.exists():
                make(folder)
                made.touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def fractals_dir(make_once):
    """A data_dir with fractals/demo of 20 training images a class."""

    def make(data_dir):
        prepare_dataset(Request("fractals/demo", data_dir, images_per_class=20))

    return make_once("fractals", make)


@pytest.fixture(scope="session")
def larger_fractals_dir(make_once):
    """A data_dir with fractals/demo of 50 training images a class."""

    def make(data_dir):
        prepare_dataset(Request("fractals/demo", data_dir, images_per_class=50))

    return make_once("larger_fractals", make)


@pytest.fixture(scope="session")
def stored_fractals(fractals_dir, make_once):
    """A data_dir with the same data set and its pixel store."""

    def make(data_dir):
        shutil.copytree(fractals_dir, data_dir)
        prepare_store(Request(FRACTALS, data_dir))

    return make_once("stored_fractals", make)


@pytest.fixture(scope="session")
def finished(fractals_dir, make_once):
    """The workdir and result of a whole short run; copy the workdir before changing it."""

    def make(folder):
        from alexnet_jax.runs.train import train_and_evaluate

        result = train_and_evaluate(short_config(fractals_dir), folder / "run")
        (folder / "returned.json").write_text(json.dumps(result))

    folder = make_once("finished", make)
    return folder / "run", json.loads((folder / "returned.json").read_text())


@contextmanager
def _ray(folder, kind):
    pytest.importorskip("ray.tune", reason="Ray is not installed: requirements-sweep.txt")
    with (folder / "ray.lock").open("w") as lock:
        fcntl.flock(lock, kind)
        yield


@pytest.fixture
def shared_ray(of_all_workers):
    """Ray, beside other tests that use it."""
    with _ray(of_all_workers, fcntl.LOCK_SH):
        yield


@pytest.fixture(scope="module")
def only_ray(of_all_workers):
    """Ray, while no other test uses it: a sweep's job on Slurm ends all of it on a machine."""
    with _ray(of_all_workers, fcntl.LOCK_EX):
        yield


@pytest.fixture(scope="session")
def two_processes(fractals_dir, make_once):
    """The workdir of a whole run of two processes, and how each ended: (code, out, err)."""

    def make(folder):
        ends = finish(start_together(2, options(fractals_dir, folder / "run")))
        (folder / "ends.json").write_text(json.dumps(ends))

    folder = make_once("two_processes", make)
    return folder / "run", json.loads((folder / "ends.json").read_text())


@pytest.fixture(scope="session")
def without_flock(tmp_path_factory):
    """The environment of a process in which no file system has locks."""
    library = tmp_path_factory.mktemp("no_flock") / "no_flock.so"
    source = Path(__file__).parent / "faults" / "no_flock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return os.environ | {"LD_PRELOAD": str(library)}


@pytest.fixture(scope="module")
def compiled_without_optimization():
    """For small programs that run once each: LLVM would take longer than it saves."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def config(fractals_dir):
    """A config of one's own, to change."""
    return short_config(fractals_dir)
