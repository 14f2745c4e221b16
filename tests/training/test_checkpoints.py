import ctypes
import gc
import os
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.training.checkpoints import Checkpoints, _fingerprint
from alexnet_jax.training.plateau import before_any_test
from alexnet_jax.training.state import TrainState

# When a read fails, Orbax leaves tasks on a closed event loop, which complain when collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect_here():
    """Let what a test left behind complain here, not in a later test."""
    yield
    gc.collect()


def make_state(step):
    params = {"fc": {"kernel": jax.random.normal(jax.random.key(step), (20_000,))}}
    whole = replicated(make_data_mesh())
    return jax.device_put(
        TrainState(jnp.int32(step), params, (jnp.zeros(3),), before_any_test()), whole
    )


def describe(state):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )


def save(workdir, errors):
    """Save a state a step, with the given top-1 errors."""
    with closing(Checkpoints(workdir)) as checkpoints:
        for step, error in errors.items():
            checkpoints.save(make_state(step), error)


def restore(workdir, **options):
    with closing(Checkpoints(workdir, **options)) as checkpoints:
        return checkpoints.restore(describe(make_state(0)))


def data_files(workdir, step):
    folder = workdir / "checkpoints" / str(step) / "default" / "ocdbt.process_0" / "d"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_size)


def test_the_state_comes_back_to_the_bit(tmp_path):
    save(tmp_path, {3: None})
    for actual, expected in zip(
        jax.tree.leaves(restore(tmp_path)), jax.tree.leaves(make_state(3)), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)
        assert actual.dtype == expected.dtype


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path) is None


def test_the_two_latest_and_the_best_are_kept(tmp_path):
    save(tmp_path, {1: 0.9, 2: 0.1, 3: 0.5, 4: 0.4, 5: 0.3, 6: None})
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert checkpoints.steps() == [2, 5, 6]


def damage(path, how):
    content = path.read_bytes()
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["cut short", "missing", "a bit flipped"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(tmp_path, how, capsys):
    save(tmp_path, {1: None, 2: None})
    damage(data_files(tmp_path, 2)[-1], how)
    assert int(restore(tmp_path).step) == 1
    assert "checkpoint 2 cannot be read, trying the one before" in capsys.readouterr().err


def test_a_checkpoint_whose_folder_is_gone_does_not_hide_the_one_before(tmp_path):
    save(tmp_path, {1: None, 2: None})
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "default")
    assert int(restore(tmp_path).step) == 1


def test_the_step_of_a_damaged_checkpoint_can_be_saved_anew(tmp_path):
    save(tmp_path, {1: None, 2: None})
    damage(data_files(tmp_path, 2)[-1], "missing")
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.restore(describe(make_state(0)))
        checkpoints.save(make_state(2))
    assert int(restore(tmp_path).step) == 2
    assert (tmp_path / "damaged_checkpoints" / "2").is_dir()


def test_looking_at_a_damaged_checkpoint_moves_nothing(tmp_path):
    save(tmp_path, {1: None, 2: None})
    damage(data_files(tmp_path, 2)[-1], "missing")
    assert int(restore(tmp_path, read_only=True).step) == 1
    assert (tmp_path / "checkpoints" / "2").is_dir()


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path):
    save(tmp_path, {1: None})
    damage(data_files(tmp_path, 1)[-1], "missing")
    with pytest.raises(UserError, match="none of the checkpoints .* can be read"):
        restore(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB, mounted for the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=4m"):
        pytest.skip(f"mounting a small disk needs root: {os.strerror(ctypes.get_errno())}")
    yield folder
    libc.umount2(os.fsencode(folder), 2)


def test_a_full_disk_is_named_and_earlier_checkpoints_stay(small_disk):
    rng = np.random.default_rng(0)
    checkpoints = Checkpoints(small_disk)
    checkpoints.save(make_state(1))
    large = TrainState(
        jnp.int32(2), {"fc": jnp.float32(rng.normal(size=2_000_000))}, (), before_any_test()
    )
    with pytest.raises(MachineError, match=r"disk full while writing a checkpoint: .*MB free"):
        checkpoints.save(large)
        checkpoints.close()
    assert int(restore(small_disk).step) == 1


def test_batch_statistics_come_back(tmp_path):
    mean = jax.device_put({"conv1_norm": {"mean": jnp.arange(3.0)}}, replicated(make_data_mesh()))
    state = replace(make_state(3), batch_stats=mean)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(state)
        found = checkpoints.restore(describe(state))
    np.testing.assert_array_equal(found.batch_stats["conv1_norm"]["mean"], [0, 1, 2])


def test_a_checkpoint_of_before_there_were_batch_statistics_is_read(tmp_path):
    """The state was saved as a dataclass of four fields."""

    @jax.tree_util.register_dataclass
    @dataclass(frozen=True)
    class Before:
        step: Any
        params: Any
        opt_state: Any
        plateau: Any

    new = make_state(3)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        state = Before(new.step, new.params, new.opt_state, new.plateau)
        item = {"state": state, "fingerprint": _fingerprint(state)}
        checkpoints._manager.save(3, args=ocp.args.StandardSave(item), force=True)
    found = restore(tmp_path)
    np.testing.assert_array_equal(found.params["fc"]["kernel"], new.params["fc"]["kernel"])
    assert found.batch_stats == {}
