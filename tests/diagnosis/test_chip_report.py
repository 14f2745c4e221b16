"""The table and the object of a compiled step's cost."""

import pytest

from alexnet_jax.diagnosis import chip_report
from alexnet_jax.diagnosis.chip_report import describe_cost, format_cost
from alexnet_jax.diagnosis.chips import CHIPS
from alexnet_jax.diagnosis.compiled_step import Operation, StepCost


def cost(total_bytes):
    operation = Operation("conv1", 2, 0, 3_000_000_000, "fusion bf16[8]")
    return StepCost(1, 128, (operation,), 3_000_000_000, 1_000, total_bytes, 10**12, 10**9)


@pytest.fixture
def describe(monkeypatch):
    monkeypatch.setattr(chip_report, "compiler_versions", lambda chip: {"jax": "0"})

    def of(total_bytes):
        found = describe_cost(cost(total_bytes), CHIPS["h100"], "original", "float32", "data")
        return found, format_cost(found, CHIPS["h100"])

    return of


def test_a_step_that_fits_says_what_limits_it(describe):
    found, text = describe(10**9)
    assert (found["kernels"], found["bytes"], found["fits"]) == (2, 3_000_000_000, True)
    assert found["layers"] == {"conv1": {"kernels": 2, "bytes": 3_000_000_000}}
    assert "limit       products" in text  # 1.0 ms of them, and 0.9 ms of traffic.
    assert "does not fit" not in text


def test_a_step_that_does_not_fit_says_what_to_give(describe):
    found, text = describe(81 * 10**9)
    assert not found["fits"]
    assert "it does not fit: give --config.train.microbatch_size=64, or less" in text
