import math

import jax
import jax.numpy as jnp
import pytest

from alexnet_jax.training.schedule import (
    cosine,
    new_plateau,
    piecewise,
    staircase_exponential,
    step_decay,
    update_plateau,
    warmed_up,
)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.01), (249, 0.01), (250, 1.587e-3), (500, 2.52e-4), (750, 4e-5), (999, 4e-5)],
)
def test_staircase_exponential_rates_are_those_of_run_170(step, rate):
    assert float(staircase_exponential(0.01, 1000, 250.0)(step)) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(("step", "rate"), [(9, 0.1), (10, 0.01), (19, 0.01), (20, 0.001)])
def test_step_decay_rates_change_once_the_boundary_is_completed(step, rate):
    assert float(step_decay(0.1, [10, 20], 0.1)(step)) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(("step", "rate"), [(499, 0.02), (500, 0.002), (999, 0.002)])
def test_two_levels_are_the_biases_rates_of_run_170(step, rate):
    assert float(staircase_exponential(0.02, 1000, 10.0, levels=2)(step)) == pytest.approx(
        rate, rel=1e-6
    )


@pytest.mark.parametrize(("step", "value"), [(0, 1.0), (67, 0.1), (71, 0.1), (72, 0.0)])
def test_piecewise_values_change_once_the_boundary_is_completed(step, value):
    assert float(piecewise([1.0, 0.1, 0.0], [67, 72])(step)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.02), (5, 0.11), (10, 0.2), (19, 0.2), (20, 0.02), (29, 0.02)]
)
def test_warm_up_grows_evenly_to_a_rate_that_then_takes_its_course(step, rate):
    schedule = warmed_up(step_decay(0.2, [20], 0.1), 10, 0.1)
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.2), (100, 0.15), (150, 0.1), (300, 0.0)])
def test_the_cosine_falls_to_half_at_half_time_and_to_zero_at_the_end(step, rate):
    assert float(cosine(0.2, 300)(step)) == pytest.approx(rate, abs=1e-7)


def test_values_are_float32_even_where_they_are_whole():
    assert piecewise([1, 2], [3])(0).dtype == jnp.float32


def test_a_value_without_boundaries_is_the_value_of_every_step():
    with jax.numpy_dtype_promotion("strict"):
        assert float(piecewise([0.5], [])(jnp.int32(7))) == 0.5


def follow(errors, patience=2, threshold=0.01, drops=3):
    """Return how often the rate has been lowered after each evaluation."""
    plateau, history = new_plateau(), []
    for step, error in enumerate(errors, start=1):
        plateau = update_plateau(plateau, step, error, patience, threshold, drops)
        history.append(int(plateau.drops))
    return history


@pytest.mark.parametrize(
    ("errors", "drops"),
    [
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0]),  # It improves.
        ([0.5, 0.5, 0.5], [0, 0, 1]),  # It stands still for two evaluations.
        ([0.5, 0.495, 0.495], [0, 0, 1]),  # It improves by less than counts.
        ([0.5, 0.5, 0.4, 0.4, 0.4], [0, 0, 0, 0, 1]),  # An improvement restarts the count.
        ([0.5] * 12, [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3]),  # Three times, not more.
        ([math.nan, math.nan], [0, 1]),  # No number is no improvement.
    ],
)
def test_the_rate_is_lowered_when_the_error_stands_still(errors, drops):
    assert follow(errors) == drops


def test_an_error_that_falls_by_just_the_threshold_has_not_improved():
    assert follow([0.75, 0.5, 0.5], threshold=0.25) == [0, 0, 1]


def test_an_evaluation_is_counted_once():
    plateau = update_plateau(new_plateau(), 5, 0.5, 2, 0.01, 3)
    again = update_plateau(plateau, 5, 0.5, 2, 0.01, 3)
    assert int(again.stale) == int(plateau.stale)
