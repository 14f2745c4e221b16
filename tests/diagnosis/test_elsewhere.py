import json
from statistics import median

import pytest
from made_diagnosis import made_diagnosis
from short_run import REPOSITORY

from alexnet_jax.diagnosis.elsewhere import measured_elsewhere
from alexnet_jax.diagnosis.examination import _find_elsewhere
from alexnet_jax.diagnosis.report import format_table
from alexnet_jax.training.experiment import build_without_data
from configs import imagenet


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_measured_step_has_the_time_of_its_benchmark(dtype):
    (row,) = measured_elsewhere("original", dtype, "fast", 128)
    result = json.loads((REPOSITORY / row["source"]).read_text())
    assert (row["device"], row["jax"]) == (result["device"], result["jax"])
    times = result[f"{dtype}_free"]["milliseconds"]
    assert row["milliseconds"] == pytest.approx(median(times), abs=0.005)


@pytest.mark.parametrize("other", [
    ("owt", "bfloat16", "fast", 128), ("original", "bfloat16", "fast", 256),
    ("original", "float32", "float32", 128),
    ("original with batch_norm", "bfloat16", "fast", 128),
])  # fmt: skip
def test_nothing_is_known_of_another_network_batch_or_precision(other):
    assert measured_elsewhere(*other) == []


@pytest.mark.parametrize(("microbatch", "found"), [(None, 1), (64, 0)])
def test_a_config_is_looked_up_by_what_its_step_computes(microbatch, found):
    config = imagenet.get_config()
    config.model.dtype = "bfloat16"
    config.train.microbatch_size = microbatch
    assert len(_find_elsewhere(build_without_data(config))) == found


KNOWN = [{"device": "NVIDIA H200", "jax": "0.11.2", "milliseconds": 7.26}]


def test_the_time_of_the_run_on_the_other_device_follows_that_on_this_machine():
    # 900,000 steps of 7.26 ms.
    table = format_table(made_diagnosis(elsewhere=KNOWN))
    assert "on one NVIDIA H200 about 108.9 min (the step alone, jax 0.11.2)" in table


@pytest.mark.parametrize("changes", [
    {"elsewhere": []},
    {"elsewhere": KNOWN, "machine": made_diagnosis()["machine"] | {"device": "NVIDIA H200"}},
    {"elsewhere": KNOWN, "run": {"epochs": 90.0, "steps": None, "images": None}},
])  # fmt: skip
def test_the_table_says_nothing_where_nothing_is_known_or_new(changes):
    assert "about" not in format_table(made_diagnosis(**changes))
