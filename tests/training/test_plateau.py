import math

import pytest

from alexnet_jax.training.plateau import before_any_test, update_plateau


def follow(errors, patience=2, threshold=0.01, drops=3):
    """Return how often the rate has been lowered after each of the tests."""
    plateau, history = before_any_test(), []
    for step, error in enumerate(errors, start=1):
        plateau = update_plateau(plateau, step, error, patience, threshold, drops)
        history.append(int(plateau.drops))
    return history


@pytest.mark.parametrize(
    ("errors", "drops"),
    [
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0]),  # It improves.
        ([0.5, 0.5, 0.5], [0, 0, 1]),  # It stands still for two tests.
        ([0.5, 0.495, 0.495], [0, 0, 1]),  # It improves by less than counts.
        ([0.5, 0.5, 0.4, 0.4, 0.4], [0, 0, 0, 0, 1]),  # An improvement starts the count anew.
        ([0.5] * 12, [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3]),  # Three times, not more.
        ([math.nan, math.nan], [0, 1]),  # No number is no improvement.
    ],
)
def test_the_rate_is_lowered_when_the_error_stands_still(errors, drops):
    assert follow(errors) == drops


def test_an_error_that_falls_by_just_the_threshold_has_not_improved():
    assert follow([0.75, 0.5, 0.5], threshold=0.25) == [0, 0, 1]


def test_a_test_is_counted_once():
    plateau = update_plateau(before_any_test(), 5, 0.5, 2, 0.01, 3)
    again = update_plateau(plateau, 5, 0.5, 2, 0.01, 3)
    assert int(again.stale) == int(plateau.stale)
