import errno

import pytest

from alexnet_jax.training.read_trouble import describe_trouble


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
