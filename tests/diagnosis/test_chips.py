"""Chips by name, and what is said where their compiler is missing."""

import os
from importlib.util import find_spec

import pytest

from alexnet_jax.diagnosis.chips import CHIPS, describe_devices, find_chip
from alexnet_jax.errors import UserError


def test_a_chip_is_found_by_its_name_or_its_platform():
    assert find_chip("v6e") is CHIPS["v6e"]
    assert (find_chip("tpu").name, find_chip("gpu").name) == ("v5e", "h100")
    with pytest.raises(UserError, match="--chip=v5p: no such chip; there are v5e, v6e, h100"):
        find_chip("v5p")


@pytest.mark.parametrize("name", ["v5e", "h100"])
def test_a_missing_compiler_is_named(name, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))
    chip = CHIPS[name]
    if find_spec({"tpu": "libtpu", "gpu": "jax_cuda13_plugin"}[chip.platform]):
        pytest.skip("it is installed")
    with pytest.raises(UserError, match=r'it comes with pip install "jax\[(tpu|cuda13)\]=='):
        describe_devices(chip, chip.topology)


def test_the_clock_of_a_v5e_is_that_of_its_peak():
    assert CHIPS["v5e"].clock == pytest.approx(1.5e9, rel=0.01)
