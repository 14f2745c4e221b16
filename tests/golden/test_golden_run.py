"""No number of training moves unseen; where one should, `python -m tests.golden` says which."""

import json

import pytest
from golden_run import GOLDEN, faults, record

pytestmark = pytest.mark.slow

WAY_OUT = "if they should move: python -m tests.golden, and commit its file with the reason"


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


def test_the_golden_run_gives_the_numbers_that_were_recorded(golden, larger_fractals_dir, tmp_path):
    wrong = faults(golden, record(larger_fractals_dir, tmp_path / "run"))
    assert not wrong, "\n".join([*wrong, WAY_OUT])


def changed(golden, **values):
    copy = json.loads(json.dumps(golden))
    for path, factor in values.items():
        *parents, last = path.split("/")
        tree = copy
        for name in parents:
            tree = tree[name]
        tree[last] = tree[last] * factor if isinstance(factor, float) else factor
    return copy


def test_what_was_recorded_has_no_faults(golden):
    assert faults(golden, golden) == []


@pytest.mark.parametrize(
    "change",
    [
        {"batches_sha256/45": "another"},
        {"loop/learning_rate/71": 1.1},
        {"loop/loss/3": 1.01},
        {"steps/loss/48": 1.01},
        {"steps/gradient_norm/100": 1.1},
    ],
)
def test_one_wrong_number_is_a_fault(golden, change):
    [wrong] = faults(golden, changed(golden, **change))
    assert wrong.startswith(next(iter(change)))


def test_a_small_change_of_every_number_is_a_fault(golden):
    paths = {f"steps/loss/{step}": 1 + 1e-4 for step in range(1, 101)}
    paths |= {f"steps/gradient_norm/{step}": 1 + 1e-4 for step in range(1, 101)}
    [wrong] = faults(golden, changed(golden, **paths))
    assert wrong.startswith("200 of 840 values")
