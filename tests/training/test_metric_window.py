import math
import time

import jax
import jax.numpy as jnp
import pytest
from known_waits import WAITS, TimedStep, periodic

from alexnet_jax.errors import UserError
from alexnet_jax.training import metric_window
from alexnet_jax.training.metric_window import MetricWindow, steps_in_flight


def fill(losses):
    window = MetricWindow(batch_size=10)
    for loss in losses:
        metrics = {"loss": loss, "top1_error": 0.5, "learning_rate": 0.05}
        window.add({name: jnp.float32(value) for name, value in metrics.items()}, iter(()))
    return window


def test_closing_gives_means_and_starts_anew():
    window = fill([1.0, 2.0, 6.0])
    values = window.close(step=3)
    assert (values["loss"], values["top1_error"]) == (3.0, 0.5)
    assert len(window) == 0


def test_the_speed_is_that_since_the_clock_was_started_anew():
    window = fill([1.0, 2.0])
    time.sleep(0.1)
    start = time.perf_counter()
    window.restart_clock()
    time.sleep(0.1)
    speed = window.close(step=2)["images_per_second"]
    assert 20 / (time.perf_counter() - start) <= speed <= 20 / 0.1


def test_a_mean_keeps_what_a_sum_in_float32_would_lose():
    assert fill([2.0**24, 1.0]).close(2)["loss"] == 2**23 + 0.5


@pytest.mark.parametrize(("backend", "steps"), [("cpu", 0), ("gpu", 2), ("tpu", 2)])
def test_two_steps_are_queued_but_none_on_cpus(backend, steps, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert steps_in_flight() == steps


@pytest.mark.parametrize(("in_flight", "step_seconds"), [(0, 0.05), (2, 0.5)])
def test_the_host_runs_no_further_ahead_than_it_may(in_flight, step_seconds, monkeypatch):
    monkeypatch.setattr(metric_window, "steps_in_flight", lambda: in_flight)
    step, window, losses = TimedStep(step_seconds), MetricWindow(batch_size=10), []
    for _ in range(3):
        _, metrics = step(None, None)
        window.add(metrics, iter(()))
        losses.append(metrics["loss"])
    ended = [loss.is_ready() for loss in losses]
    assert ended == [True] * (3 - in_flight) + [False] * in_flight


@pytest.mark.slow
@pytest.mark.parametrize("in_flight", [0, 2])
@pytest.mark.parametrize(("step_seconds", "period", "idle"), WAITS)
def test_waiting_is_the_share_of_time_in_which_the_devices_idle(
    step_seconds, period, idle, in_flight, monkeypatch
):
    monkeypatch.setattr(metric_window, "steps_in_flight", lambda: in_flight)
    step, batches = TimedStep(step_seconds), periodic(period, 8)
    batch = next(batches)
    window = MetricWindow(batch_size=10)
    while batch is not None:
        _, metrics = step(None, batch)
        batch = window.add(metrics, batches)
    fraction = window.close(8)["data_wait_fraction"]
    assert fraction == pytest.approx(step.idle_fraction(), abs=0.05)
    assert step.idle_fraction() > idle - 0.15  # Loose: a busy machine may make it more.


def test_what_comes_before_the_clock_starts_is_no_wait():
    step, batches = TimedStep(0.02), periodic(0.2, 2)
    window = MetricWindow(batch_size=10)
    window.add(step(None, next(batches))[1], batches)
    window.close(1)
    window.add(step(None, {})[1], iter(()))
    assert window.close(2)["data_wait_fraction"] < 0.1


def test_the_rate_is_that_of_the_last_step():
    assert fill([1.0]).close(1)["learning_rate"] == pytest.approx(0.05)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_rate_and_advice(broken):
    window = fill([1.0, broken, 2.0])
    with pytest.raises(UserError, match=r"loss of step 8 is (nan|inf) at learning rate 0.05"):
        window.close(step=9)
