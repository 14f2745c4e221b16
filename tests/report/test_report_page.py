"""The page escapes what it shows, and says what is missing."""

import json
import re
from dataclasses import replace

import pytest

from alexnet_jax.report.comparison import Comparison
from alexnet_jax.report.page import Report, _script_json, render
from alexnet_jax.report.run_record import read_run

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
        {"name": name, "runs": 3, "error": 0.2 + gap, "difference": gap, "low": low, "high": high}
        for name, gap, low, high in [("baseline", 0.0, None, None), ("no_lrn", 0.05, 0.01, 0.09)]
    ]
    page = render(Report([run], comparison=Comparison("Against the baseline.", rows)))
    assert 'id="comparison-chart"' in page and '"difference": 0.05' in page
    assert "+1.00 to +9.00" in page
