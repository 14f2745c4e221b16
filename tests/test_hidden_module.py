import importlib
import json
import sys

import pytest

from alexnet_jax.hidden_module import hidden


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "heavy_library.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield "heavy_library"
    sys.modules.pop("heavy_library", None)


def test_a_hidden_module_cannot_be_imported(module):
    with hidden(module), pytest.raises(ImportError):
        importlib.import_module(module)


def test_afterwards_it_can(module):
    with hidden(module):
        pass
    assert importlib.import_module(module)


def test_it_can_after_an_error_too(module):
    with pytest.raises(ZeroDivisionError), hidden(module):
        1 / 0  # noqa: B018
    assert importlib.import_module(module)


def test_a_module_in_use_is_not_hidden():
    with hidden("json"):
        assert importlib.import_module("json") is json
    assert sys.modules["json"] is json
