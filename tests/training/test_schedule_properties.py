import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.training.schedule import piecewise, staircase_exponential, step_decay

BOUNDARIES = st.lists(st.integers(1, 10**6), max_size=5, unique=True).map(sorted)


@given(BOUNDARIES, st.floats(1e-4, 1.0), st.floats(0.1, 0.9))
def test_the_rate_falls_at_each_boundary_not_before(boundaries, rate, factor):
    schedule = step_decay(rate, boundaries, factor)
    for step in {s + d for s in boundaries for d in (-1, 0, 1)} | {0}:
        passed = sum(step >= boundary for boundary in boundaries)
        np.testing.assert_allclose(schedule(np.int32(step)), rate * factor**passed, rtol=1e-6)


@given(BOUNDARIES, st.data())
def test_values_hold_from_their_boundary_to_the_next(boundaries, data):
    count = len(boundaries) + 1
    values = data.draw(st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count))
    schedule = piecewise(values, boundaries)
    for number, (first, end) in enumerate(
        zip([0, *boundaries], [*boundaries, 2 * 10**6], strict=True)
    ):
        assert float(schedule(np.int32(first))) == float(schedule(np.int32(end - 1)))
        assert float(schedule(np.int32(first))) == values[number]


@given(st.integers(8, 10**6), st.floats(2.0, 1000.0))
def test_staircase_exponential_levels_share_the_run_and_divide_by_the_decay(steps, decay):
    schedule = staircase_exponential(1.0, steps, decay)
    for quarter in range(4):
        first = steps * quarter // 4
        np.testing.assert_allclose(schedule(np.int32(first)), decay ** (-quarter / 3), rtol=1e-5)
        if quarter:
            before = decay ** (-(quarter - 1) / 3)
            np.testing.assert_allclose(schedule(np.int32(first - 1)), before, rtol=1e-5)
