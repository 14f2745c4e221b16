"""The table and the object of a compiled step's cost."""

import pytest

from alexnet_jax.diagnosis import chip_report
from alexnet_jax.diagnosis.chip_report import describe_cost, format_cost, format_operations
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


def test_the_dearest_operation_has_its_bytes():
    text = format_operations(cost(10**9), CHIPS["h100"], 1)
    assert text == "the most expensive by bytes:\n3,000,000,000  fusion bf16[8]"


def test_a_step_that_does_not_fit_says_what_to_give(describe):
    found, text = describe(81 * 10**9)
    assert not found["fits"]
    assert "it does not fit: give --config.train.microbatch_size=64, or less" in text


def test_on_a_tpu_cycles_stand_beside_those_of_the_bytes():
    chip = CHIPS["v5e"]
    operations = (
        Operation("conv1", 1, 2_000_000, 819_000_000, "fusion"),
        Operation("conv1_pool", 1, 0, 5_000_000, "select-and-scatter"),
    )
    step = StepCost(1, 128, operations, 1, 1, 1, 1, 1)
    rows = format_operations(step, chip, 1).splitlines()
    assert rows[1].split() == ["2.000", "819.0", f"{chip.clock / 1e9:.3f}", "fusion"]
    assert rows[2] == "without an estimate:"
    assert rows[3].split()[::3] == ["0.000", "select-and-scatter"]
