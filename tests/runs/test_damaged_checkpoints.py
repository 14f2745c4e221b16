import errno
import gc
import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import replace

import jax
import pytest
from saved_states import data_files, describe, make_state, read, restore, save, steps

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.runs import checkpoints
from alexnet_jax.runs.checkpoints import Checkpoints, describe_trouble

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


def replace_shape(leaf, shape):
    return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=leaf.sharding)


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
