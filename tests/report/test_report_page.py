"""The page escapes what it shows, and says what is missing."""

import json
import re
from dataclasses import replace

import pytest

from alexnet_jax.report.comparison import Comparison
from alexnet_jax.report.page import Report, _script_json, render
from alexnet_jax.report.results import result_rows
from alexnet_jax.report.saved_run import read_run

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture
def run(finished):
    return read_run(finished[0])


def test_names_from_a_config_are_escaped(run):
    config = {**run.config, "data.name": HOSTILE}
    page = render(Report([replace(run, config=config)]))
    assert "alert(1)" in page and HOSTILE not in page


def test_names_in_charts_cannot_end_the_script(run):
    text = _script_json({"class": HOSTILE})
    assert "<" not in text and json.loads(text) == {"class": HOSTILE}


def test_an_untrained_network_says_how_to_train(run):
    page = render(Report([replace(run, lines=[], result=None)]))
    assert "python -m alexnet_jax.main" in page and "Not evaluated yet" in page


def test_published_errors_stand_beside_those_on_imagenet(run):
    config = {**run.config, "data.name": "imagenet2012"}
    page = render(Report([replace(run, config=config)]))
    assert re.search(r"1 CNN.*40\.70.*18\.20.*table 2", page, re.DOTALL)
    assert "table 2" not in render(Report([run]))


def test_the_command_can_be_pasted_into_a_shell(run):
    environment = {**run.environment, "command": ["python", "-m", "x", "--config.a=('b', 'c')"]}
    page = render(Report([replace(run, environment=environment)]))
    assert "python -m x &#39;--config.a=(&#39;&#34;&#39;&#34;&#39;b" in page


def test_a_comparison_has_its_chart_and_its_table(run):
    rows = [
        {
            "name": name,
            "is_baseline": name == "baseline",
            "runs": 3,
            "error": 0.2 + gap,
            "difference": gap,
            "low": low,
            "high": high,
        }
        for name, gap, low, high in [("baseline", 0.0, None, None), ("no_lrn", 0.05, 0.01, 0.09)]
    ]
    page = render(Report([run], comparison=Comparison("Against the baseline.", rows)))
    assert 'id="comparison-chart"' in page and '"difference": 5.0' in page
    assert "+1.00 to +9.00" in page and "needs two runs" not in page


def evaluation(step, error):
    scores = {"top1_error": error, "top5_error": 0.0, "loss": 1.0, "count": 100}
    return {"kind": "eval", "step": step, "views": "center", **scores}


def test_the_best_step_has_a_row_where_it_is_not_the_last(run):
    lines = [evaluation(2, 0.3), evaluation(4, 0.2), evaluation(5, 0.2), evaluation(6, 0.25)]
    rows = result_rows(replace(run, lines=lines))
    assert rows[-1]["top1"]["error"] == 0.2 and rows[-1]["views"] == "center crop, best step 5"
    assert len(result_rows(replace(run, lines=lines[:3]))) == len(rows) - 1


def test_a_device_has_its_name_and_a_time_its_unit(run):
    environment = {**run.environment, "devices": ["cpu: cpu"] + 2 * ["gpu: NVIDIA H200"]}
    result = {**run.result, "seconds": 521.0}
    page = render(Report([replace(run, environment=environment, result=result)]))
    assert "<dd>1 × cpu, 2 × NVIDIA H200</dd>" in page and "<dd>8:41 min</dd>" in page


def test_a_run_that_has_not_finished_has_the_command_that_resumes_it(run):
    assert "The command that repeats it" in render(Report([run]))
    page = render(Report([replace(run, lines=[], result=None)]))
    assert "The command that resumes it" in page and "The command below resumes the run" in page
