import ctypes
import os
import re
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from saved_states import describe, make_state, read, restore, save, steps

from alexnet_jax.errors import MachineError
from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.runs.checkpoints import Checkpoints, _fingerprint
from alexnet_jax.training.preemption import Preempted
from alexnet_jax.training.schedule import new_plateau
from alexnet_jax.training.state import TrainState


def test_the_state_comes_back_to_the_bit(tmp_path):
    save(tmp_path, 3)
    for actual, expected in zip(
        jax.tree.leaves(restore(tmp_path)), jax.tree.leaves(make_state(3)), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)
        assert actual.dtype == expected.dtype


def test_a_state_is_read_to_the_devices_that_its_description_names(tmp_path):
    save(tmp_path, 1)
    one = replicated(make_data_mesh(jax.devices()[:1]))
    described = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one), make_state(0)
    )
    with closing(Checkpoints(tmp_path)) as opened:
        found = opened.restore(described)
    assert {leaf.sharding for leaf in jax.tree.leaves(found)} == {one}


def test_a_save_cuts_no_arrays_into_parts(tmp_path, caplog):
    """A program for each array and device: the first save on eight devices took seconds."""
    state = make_state(1)
    state = replace(state, params=jax.tree.map(lambda leaf: leaf[:12_344], state.params))
    with closing(Checkpoints(tmp_path)) as checkpoints, jax.log_compiles():
        checkpoints.save(state)
    compiled = re.findall(r"Finished XLA compilation of jit\((\w+)\)", caplog.text)
    assert compiled == ["_fingerprint"]


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path) is None


def test_the_two_latest_and_those_to_keep_stay(tmp_path):
    save(tmp_path, 1, 2, 3, 4, 5, 6, keep=[2])
    assert steps(tmp_path) == [2, 5, 6]


def test_a_step_before_the_latest_can_be_saved(tmp_path):
    save(tmp_path, 3, 1)
    assert steps(tmp_path) == [1, 3]


def test_who_only_looks_makes_no_folder(tmp_path):
    assert steps(tmp_path) == []
    assert not (tmp_path / "checkpoints").exists()


def test_only_who_writes_clears_unfinished_saves_away(tmp_path):
    save(tmp_path, 1)
    unfinished = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp"
    unfinished.mkdir()
    assert steps(tmp_path) == [1]
    assert unfinished.exists()
    save(tmp_path, 3)  # Waits for the thread that clears.
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("error", "processes", "closed"),
    [
        (None, 2, True),
        (Preempted(15), 2, True),
        (ValueError(), 1, True),
        (ValueError(), 2, False),
    ],
)
def test_all_close_but_a_process_of_a_cluster_that_fails(
    error, processes, closed, tmp_path, monkeypatch
):
    """The others wait for it, so it must not wait for them."""
    with closing(Checkpoints(tmp_path)) as opened, monkeypatch.context() as patch:
        calls = []
        patch.setattr(opened, "close", lambda: calls.append("close"))
        patch.setattr(jax, "process_count", lambda: processes)
        opened.__exit__(type(error), error, None)
        assert bool(calls) == closed


def test_what_is_kept_stays_however_often_the_folder_is_opened_again(tmp_path):
    for step in range(1, 7):
        save(tmp_path, step, keep=[2])
    assert steps(tmp_path) == [2, 5, 6]


def test_what_is_no_longer_worth_keeping_goes(tmp_path):
    save(tmp_path, 1, 2, 3, 4, keep=[1])
    save(tmp_path, 5, keep=[3])
    assert steps(tmp_path) == [3, 4, 5]


def test_a_checkpoint_that_is_named_is_the_one_that_is_read(tmp_path):
    save(tmp_path, 1, 2)
    assert int(read(tmp_path, 1).step) == 1


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


@pytest.mark.parametrize("then", [Checkpoints.close, lambda opened: opened.save(make_state(3))])
def test_a_full_disk_is_named_and_earlier_checkpoints_stay(then, small_disk):
    rng = np.random.default_rng(0)
    opened = Checkpoints(small_disk)
    opened.save(make_state(1))
    large = TrainState(
        jnp.int32(2), {"fc": jnp.float32(rng.normal(size=2_000_000))}, (), new_plateau()
    )
    with pytest.raises(MachineError, match=r"disk full while writing a checkpoint: .*MB free"):
        opened.save(large)
        then(opened)
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
    handler = ocp.StandardCheckpointHandler()  # It writes arrays in parts, one a device.
    with closing(ocp.CheckpointManager(tmp_path / "checkpoints", item_handlers=handler)) as manager:
        state = Before(new.step, new.params, new.opt_state, new.plateau)
        item = {"state": state, "fingerprint": _fingerprint(state)}
        manager.save(3, args=ocp.args.StandardSave(item), force=True)
    found = restore(tmp_path)
    np.testing.assert_array_equal(found.params["fc"]["kernel"], new.params["fc"]["kernel"])
    assert found.batch_stats == {}
