"""Chips by name, and what is said where their compiler is missing."""

import pytest

from alexnet_jax.diagnosis import chips
from alexnet_jax.diagnosis.chips import CHIPS, describe_devices, find_chip, has_compiler
from alexnet_jax.errors import UserError


def test_a_chip_is_found_by_its_name_or_its_platform():
    assert find_chip("v6e") is CHIPS["v6e"]
    assert (find_chip("tpu").name, find_chip("gpu").name) == ("v5e", "h100")
    with pytest.raises(UserError, match="--chip=v5p: no such chip; there are v5e, v6e, h100"):
        find_chip("v5p")


@pytest.mark.parametrize("name", ["v5e", "h100"])
def test_a_missing_compiler_is_named(name):
    chip = CHIPS[name]
    if has_compiler(chip):
        pytest.skip("it is installed")
    with pytest.raises(UserError, match=r'is not installed; .* pip install "jax\[(tpu|cuda13)\]=='):
        describe_devices(chip, chip.topology)


def test_a_topology_of_another_chip_is_refused(monkeypatch):
    monkeypatch.setattr(chips, "has_compiler", lambda chip: True)
    with pytest.raises(UserError, match="--topology=v4:2x2 is none of v5e; .* as v5e:2x2"):
        describe_devices(CHIPS["v5e"], "v4:2x2")


def test_the_clock_of_a_v5e_is_that_of_its_peak():
    assert CHIPS["v5e"].clock == pytest.approx(1.5e9, rel=0.01)
