import pytest

from alexnet_jax.system.atomic_write import atomic_write


def test_the_text_replaces_what_was_there(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    atomic_write(path, "new")
    assert path.read_text() == "new"


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
