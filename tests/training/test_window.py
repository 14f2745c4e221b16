import math
import time

import jax
import jax.numpy as jnp
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.training.window import Window, stuck_advice


def fill(losses):
    window = Window(batch_size=10)
    for loss in losses:
        metrics = {"loss": loss, "top1_error": 0.5, "rate_factor": 0.1}
        window.add({name: jnp.float32(value) for name, value in metrics.items()}, waited=0.0)
    return window


def test_closing_gives_means_and_starts_anew():
    window = fill([1.0, 2.0, 6.0])
    assert window.close(step=3, learning_rate=0.1)["loss"] == 3.0
    assert len(window) == 0


def test_waiting_is_a_share_of_the_time():
    window, start = Window(batch_size=10), time.perf_counter()
    metrics = {"loss": 1.0, "top1_error": 0.5, "rate_factor": 1.0}
    window.add({name: jnp.float32(value) for name, value in metrics.items()}, waited=0.0)
    time.sleep(0.02)
    window.add({name: jnp.float32(value) for name, value in metrics.items()}, waited=0.02)
    fraction = window.close(2, 0.1)["data_wait_fraction"]
    assert 0.02 / (time.perf_counter() - start) <= fraction <= 1.0


def test_a_wait_that_the_step_outlasts_costs_nothing():
    long = jax.jit(lambda x: jax.lax.fori_loop(0, 300, lambda _, y: jnp.sin(y @ y), x).sum())
    matrix = jnp.eye(700)
    long(matrix).block_until_ready()
    window = Window(batch_size=10)
    window.add({"loss": long(matrix), "top1_error": 0.5, "rate_factor": 1.0}, waited=10.0)
    assert window.close(1, 0.1)["data_wait_fraction"] == 0.0


def test_the_rate_is_the_schedules_times_the_plateaus_factor():
    assert fill([1.0]).close(1, 0.5)["learning_rate"] == pytest.approx(0.05)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_rate_and_advice(broken):
    window = fill([1.0, broken, 2.0])
    with pytest.raises(
        UserError, match=r"loss of step 8 is (nan|inf) at learning rate 0.01.*Lower"
    ):
        window.close(step=9, learning_rate=0.01)


def test_a_loss_of_guessing_earns_advice():
    assert "still that of guessing (ln 1000 = 6.908)" in stuck_advice(6.9, 1000)


def test_a_loss_below_guessing_earns_none():
    assert stuck_advice(6.5, 1000) is None
