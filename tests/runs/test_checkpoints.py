import ctypes
import errno
import gc
import os
import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.runs import checkpoints
from alexnet_jax.runs.checkpoints import Checkpoints, _fingerprint, describe_trouble
from alexnet_jax.training.preemption import Preempted
from alexnet_jax.training.schedule import new_plateau
from alexnet_jax.training.state import TrainState

# When a read fails, Orbax leaves tasks on a closed event loop, which print_error when collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def only_what_these_tests_make():
    """Leave what earlier tests made, which may be a lot, out of every `gc.collect` here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def collect_here():
    """Let what a test left behind print_error here, not in a later test."""
    yield
    gc.collect()


def make_state(step):
    params = {"fc": {"kernel": jax.random.normal(jax.random.key(step), (20_000,))}}
    whole = replicated(make_data_mesh())
    return jax.device_put(
        TrainState(jnp.int32(step), params, (jnp.zeros(3),), new_plateau()), whole
    )


def describe(state):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )


def save(workdir, *steps, keep=()):
    with closing(Checkpoints(workdir)) as checkpoints:
        for step in steps:
            checkpoints.save(make_state(step), keep)


def restore(workdir):
    with closing(Checkpoints(workdir)) as checkpoints:
        return checkpoints.restore(describe(make_state(0)))


def data_files(workdir, step):
    folder = workdir / "checkpoints" / str(step) / "default" / "ocdbt.process_0" / "d"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_size)


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


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path) is None


def steps(workdir):
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:
        return checkpoints.steps()


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


def damage(path, how):
    content = path.read_bytes()
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut short", "missing", "a bit flipped"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(tmp_path, how, capsys):
    save(tmp_path, 1, 2)
    damage(data_files(tmp_path, 2)[-1], how)
    assert int(restore(tmp_path).step) == 1
    assert "checkpoint 2 cannot be read, trying the one before" in capsys.readouterr().err


def test_a_checkpoint_whose_folder_is_gone_does_not_hide_the_one_before(tmp_path):
    save(tmp_path, 1, 2)
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "default")
    assert int(restore(tmp_path).step) == 1


def test_the_step_of_a_damaged_checkpoint_can_be_saved_anew(tmp_path):
    save(tmp_path, 1, 2)
    damage(data_files(tmp_path, 2)[-1], "missing")
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.restore(describe(make_state(0)))
        checkpoints.save(make_state(2))
    assert int(restore(tmp_path).step) == 2
    assert (tmp_path / "damaged_checkpoints" / "2").is_dir()


def read(workdir, step):
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:
        return checkpoints.read(step, describe(make_state(0)))


def test_a_checkpoint_that_is_named_is_the_one_that_is_read(tmp_path):
    save(tmp_path, 1, 2)
    assert int(read(tmp_path, 1).step) == 1


def test_in_place_of_a_damaged_checkpoint_that_is_named_no_other_is_used(tmp_path):
    save(tmp_path, 1, 2, 3, keep=[1])
    damage(data_files(tmp_path, 2)[-1], "missing")
    with pytest.raises(UserError, match=r"checkpoint 2 in .* is damaged .*can name another: 1, 3$"):
        read(tmp_path, 2)
    assert (tmp_path / "checkpoints" / "2").is_dir()


def test_what_another_process_of_the_cluster_cannot_read_is_not_used(tmp_path, monkeypatch):
    save(tmp_path, 1)
    monkeypatch.setattr(checkpoints, "largest_of_all", lambda outcome: max(outcome, 1))
    with pytest.raises(UserError, match=r"damaged \(another process of the cluster cannot read it"):
        read(tmp_path, 1)


def test_an_older_damaged_checkpoint_of_the_same_step_is_not_replaced(tmp_path):
    for _ in range(3):
        save(tmp_path, *({1, 2} - set(steps(tmp_path))))
        damage(data_files(tmp_path, 2)[-1], "missing")
        restore(tmp_path)
    names = {path.name for path in (tmp_path / "damaged_checkpoints").iterdir()}
    assert names == {"2", "2.1", "2.2"}


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr(checkpoints, "_PAUSES", (0.01, 0.01))


@contextmanager
def unreadable(file):
    """Put a folder in a file's place: to read it is an OSError that says nothing of its bytes."""
    file.rename(file.with_suffix(".away"))
    file.mkdir()

    def mend():
        if file.is_dir():
            file.rmdir()
            file.with_suffix(".away").rename(file)

    yield mend
    mend()


def metadata(workdir, step):
    return workdir / "checkpoints" / str(step) / "default" / "_METADATA"


def test_a_checkpoint_that_the_system_does_not_let_be_read_is_not_damaged(tmp_path, short_pauses):
    save(tmp_path, 1, 2)
    refused = pytest.raises(MachineError, match=r"checkpoints/2 cannot be read now: Is a directory")
    with unreadable(metadata(tmp_path, 2)), refused:
        restore(tmp_path)
    assert steps(tmp_path) == [1, 2]
    assert not (tmp_path / "damaged_checkpoints").exists()


def test_trouble_that_passes_costs_nothing(tmp_path, monkeypatch):
    save(tmp_path, 1, 2)
    with unreadable(metadata(tmp_path, 2)) as mend:
        monkeypatch.setattr(checkpoints.time, "sleep", lambda seconds: mend())
        assert int(restore(tmp_path).step) == 2


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path):
    save(tmp_path, 1)
    damage(data_files(tmp_path, 1)[-1], "missing")
    with pytest.raises(UserError, match="none of the checkpoints .* can be read"):
        restore(tmp_path)


def damaged(message):
    """Return what reads no checkpoint, and says so in these words."""

    def read(self, step, description):
        raise ValueError(message.format(step=step))

    return read


def test_of_every_damaged_checkpoint_it_is_told_what_is_wrong(tmp_path, monkeypatch):
    save(tmp_path, 1, 2)
    monkeypatch.setattr(Checkpoints, "_read", damaged("rust at {step}"))
    with pytest.raises(UserError, match=r"can be read \(2: rust at 2; 1: rust at 1\)"):
        restore(tmp_path)


@pytest.mark.parametrize("message", ["x" * 300, "x \n" * 300])
def test_what_is_wrong_with_a_checkpoint_is_told_in_one_short_line(message, tmp_path, monkeypatch):
    save(tmp_path, 1)
    monkeypatch.setattr(Checkpoints, "_read", damaged(message))
    told = re.escape(" ".join(message.split())[:200])
    with pytest.raises(UserError, match=rf"is damaged \({told}\); it is the only one"):
        read(tmp_path, 1)


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
    with closing(Checkpoints(tmp_path)) as checkpoints:
        state = Before(new.step, new.params, new.opt_state, new.plateau)
        item = {"state": state, "fingerprint": _fingerprint(state)}
        checkpoints._manager.save(3, args=ocp.args.StandardSave(item), force=True)
    found = restore(tmp_path)
    np.testing.assert_array_equal(found.params["fc"]["kernel"], new.params["fc"]["kernel"])
    assert found.batch_stats == {}


def raised_from(cause):
    try:
        raise ValueError("an item could not be restored") from cause
    except ValueError as error:
        return error


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ESTALE])
def test_what_the_system_refuses_is_named_as_it_says_it(code):
    assert describe_trouble(OSError(code, "x")).lower() in (
        "input/output error",
        "too many open files",
        "permission denied",
        "stale file handle",
    )


def test_a_file_that_is_missing_is_damage():
    assert describe_trouble(FileNotFoundError(errno.ENOENT, "x")) is None


def test_bytes_that_make_no_sense_are_damage():
    assert describe_trouble(ValueError("Truncated Zstd-compressed stream")) is None


def test_the_cause_of_an_error_counts():
    assert describe_trouble(raised_from(PermissionError(errno.EACCES, "x"))) == "Permission denied"
    assert describe_trouble(raised_from(KeyError("x"))) is None


def test_an_error_of_a_group_counts():
    group = ExceptionGroup("reads", [KeyError("x"), OSError(errno.EIO, "x")])
    assert describe_trouble(group) == "Input/output error"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: of memory")])
def test_a_lack_of_memory_is_trouble(error):
    assert describe_trouble(error) == "not enough memory"


def test_tensorstores_words_for_the_systems_answer_are_understood():
    text = 'ABORTED: Failed to open: "manifest.ocdbt": Stale file handle [os_error_code=%r]'
    assert describe_trouble(ValueError(text % "116")) == "Stale file handle"
    assert describe_trouble(ValueError(text % "2")) is None


def test_a_checkpoint_of_another_state_is_not_called_damaged(tmp_path):
    save(tmp_path, 1, 2)
    abstract = describe(make_state(0))
    kernel = replace_shape(abstract.params["fc"]["kernel"], (30_000,))
    averaged = replace(abstract, average={"fc": {"kernel": kernel}})
    wider = replace(abstract, params={"fc": {"kernel": kernel}})
    with closing(Checkpoints(tmp_path)) as checkpoints:
        with pytest.raises(UserError, match=r"2 .*average\.fc\.kernel is not in it") as caught:
            checkpoints.restore(averaged)
        assert "give the config of the run" in str(caught.value)
        shapes = r"params\.fc\.kernel is \[20000\] instead of \[30000\]"
        with pytest.raises(UserError, match=shapes):
            checkpoints.read(1, wider)
        assert checkpoints.restore(abstract) is not None
    assert not (tmp_path / "damaged_checkpoints").exists()


def test_a_checkpoint_with_more_than_the_state_is_not_called_damaged(tmp_path):
    averaged = replace(make_state(1), average=make_state(1).params)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(averaged)
    with pytest.raises(UserError, match=r"average\.fc\.kernel is not in this config's state"):
        restore(tmp_path)


def replace_shape(leaf, shape):
    return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=leaf.sharding)
