"""Verdicts by the rule, and how numbers are written."""

import math

import pytest

from alexnet_jax.reproduction.claims import Claim
from alexnet_jax.reproduction.findings import find_verdict, format_deviation, format_p, format_value
from alexnet_jax.sweeps.statistics import Estimate


def claim(sign=1, measure="error"):
    return Claim("c", "1", "s", "p", "s", measure, "ablations", "a", sign=sign)


@pytest.mark.parametrize(
    ("sign", "value", "p", "verdict"),
    [
        (1, 2.0, 0.009, "agrees"),
        (1, 2.0, 0.011, "not told apart"),
        (1, -2.0, 0.009, "the opposite"),
        (-1, -2.0, 0.009, "agrees"),
        (0, 2.0, 0.009, "differs"),
        (0, 2.0, 0.5, "no difference found"),
        (1, 2.0, None, "too few runs"),
    ],
)
def test_a_sign_counts_only_where_it_is_certain(sign, value, p, verdict):
    assert find_verdict(claim(sign), Estimate(value, 10, 1.0, value - 1, value + 1, p)) == verdict


def test_a_difference_has_its_sign_and_interval():
    assert format_value(claim(), Estimate(1.42, 9, 1.0, 0.94, 1.88, 0.001)) == "+1.4 (+0.9 to +1.9)"
    assert format_value(claim(), Estimate(-1.42, 1, None)) == "-1.4"


def test_a_ratio_is_a_number_of_times():
    low, value, high = map(math.log, (5.0, 6.0, 7.2))
    text = format_value(claim(measure="sooner"), Estimate(value, 9, None, low, high, 0.001))
    assert text == "6.00 (5.00 to 7.20) times"


@pytest.mark.parametrize(
    ("p", "text"), [(None, ""), (0.00001, "< 0.0001"), (0.0042, "0.0042"), (0.256, "0.26")]
)
def test_p_values_are_as_papers_print_them(p, text):
    assert format_p(p) == text


def test_a_deviation_is_in_points_or_in_per_cent_of_a_ratio():
    estimate = Estimate(1.0, 9, 0.114)
    assert format_deviation(claim(), estimate) == "0.1"
    assert format_deviation(claim(measure="sooner"), estimate) == "11 %"
    assert format_deviation(claim(), Estimate(1.0, 1, None)) == ""
