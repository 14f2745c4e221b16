"""Intervals and tests against SciPy's, and the number of seeds against trials."""

import numpy as np
import pytest
from scipy import stats

from alexnet_jax.sweeps.statistics import (
    ALPHA,
    average,
    deviation_interval,
    difference,
    seeds_needed,
    share_difference,
)

ONE, OTHER = [0.25, 0.24, 0.29], [0.20, 0.22, 0.21, 0.23]


def test_a_difference_is_welchs():
    expected = stats.ttest_ind(ONE, OTHER, equal_var=False)
    interval = expected.confidence_interval()
    found = difference(ONE, OTHER)
    assert found.value == pytest.approx(np.mean(ONE) - np.mean(OTHER))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_an_average_is_students():
    expected = stats.ttest_1samp(ONE, 0.0)
    interval = expected.confidence_interval()
    found = average(ONE)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_one_run_has_no_interval():
    assert difference([0.2], OTHER).low is None
    assert average([0.2]).p is None


def test_equal_runs_have_an_interval_without_width():
    found = difference([0.2, 0.2], [0.1, 0.1])
    assert found.low == found.high == pytest.approx(0.1)
    assert found.sign() == 1
    assert difference([0.2, 0.2], [0.2, 0.2]).sign() == 0


@pytest.mark.slow
@pytest.mark.parametrize(("gap", "times"), [(1.0, 1), (1.0, 2), (5.0, 1), (5.0, 2)])
def test_the_seeds_tell_the_difference_nine_times_in_ten(gap, times):
    def told(seeds):
        generator = np.random.default_rng(1)
        pairs = (
            (generator.normal(gap, 1.0, seeds), generator.normal(0.0, 1.0, times * seeds))
            for _ in range(1000)
        )
        return np.mean([difference(*pair).p < ALPHA for pair in pairs])

    seeds = seeds_needed(gap, 1.0, times)
    assert told(seeds) > 0.87
    assert told(seeds - 1) < 0.92


def test_an_interval_of_a_deviation_covers_it_nineteen_times_in_twenty():
    generator = np.random.default_rng(0)
    samples = generator.normal(0, 2.0, (2000, 10))
    inside = [
        low < 2.0 < high
        for low, high in (deviation_interval(each.std(ddof=1), 10) for each in samples)
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_a_difference_of_shares_has_newcombes_interval_and_fishers_p():
    # Newcombe 1998, table II: 56/70 less 48/80 is 0.2, from 0.0524 to 0.3339 by method 10.
    found = share_difference([True] * 56 + [False] * 14, [True] * 48 + [False] * 32)
    assert (found.value, found.low, found.high) == pytest.approx((20.0, 5.24, 33.39), abs=0.01)
    assert share_difference([True] * 10, [False] * 10).p == pytest.approx(2 / 184756)
    assert share_difference([True] * 3, [True] * 3).sign() == 0
