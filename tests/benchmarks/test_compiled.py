"""The check of ceilings does not pass where it has checked nothing."""

import os
import subprocess
import sys

import pytest
from short_run import REPOSITORY

import benchmarks.compiled
from alexnet_jax.diagnosis.chips import CHIPS, has_compiler
from alexnet_jax.diagnosis.compiled_step import Operation, StepCost
from benchmarks.compiled import format_operations


def row(chip):
    return {"chip": chip, "network": "owt", "dtype": "bfloat16", "batch": 128, "cycles": 5}


def compiled(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.compiled", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_network_without_a_ceiling_is_an_error():
    done = compiled("--check", "--network=ownt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: nothing was checked: no row of benchmarks/ceilings.json has such a network\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--check"], ["--chip=tpu"], ["--chip=gpu"]])
def test_without_a_compiler_there_is_an_error(arguments):
    if any(map(has_compiler, CHIPS.values())):
        pytest.skip("a compiler is installed")
    done = compiled(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert 'pip install "jax[' in done.stderr


def test_an_unknown_chip_is_an_error():
    done = compiled("--chip=v9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --chip=v9: no such chip; there are v5e, v6e, h100\n"


def test_rows_without_a_compiler_are_named(monkeypatch, capsys):
    module = benchmarks.compiled
    monkeypatch.setattr(module, "has_compiler", lambda chip: chip.platform == "tpu")
    monkeypatch.setattr(module, "measure", lambda *_: ({"cycles": 5, "versions": {}}, None))
    assert module.check([row("v5e"), row("h100")], [], update=False) == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "1 of 2 rows",
        "h100 owt bfloat16: not checked, no compiler of h100 is installed",
    ]


def test_the_most_expensive_operation_has_its_bytes():
    operation = Operation("conv1", 2, 0, 3_000_000_000, "fusion bf16[8]")
    step = StepCost(1, 128, (operation,), 3_000_000_000, 1_000, 1, 1, 1)
    text = format_operations(step, CHIPS["h100"], 1)
    assert text == "the most expensive by bytes:\n3,000,000,000  fusion bf16[8]"


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
