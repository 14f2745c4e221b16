import math

import pytest

from alexnet_jax.training.divergence import blow_up_limit, confirmed_step

HALF = math.log(10) / 2


def means(losses):
    return [{"kind": "train", "step": step, "loss": loss} for step, loss in losses.items()]


@pytest.mark.parametrize(
    ("logged", "limit"),
    [([], 3 * HALF), ([9.0, 1e9], 3 * HALF), ([2.0, 1.0, 5.0], 1.0 + HALF)],
)
def test_a_loss_has_blown_up_half_of_guessing_above_the_lowest_mean(logged, limit):
    assert blow_up_limit(logged, 10) == pytest.approx(limit)


def test_the_loss_of_a_later_step_confirms_a_checkpoint():
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10) == 2


def test_a_loss_that_the_log_lacks_confirms_too():
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10, {5: 1.8}) == 4


@pytest.mark.parametrize("loss", [1e9, math.nan, math.inf])
def test_a_loss_that_has_blown_up_confirms_nothing(loss):
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10, {5: loss}) == 2


def test_a_run_that_diverges_from_the_start_has_no_good_checkpoint():
    assert confirmed_step(means({2: 1e9, 4: 1e9}), [2, 4], 10) is None
