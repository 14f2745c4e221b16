import math

import jax
import jax.numpy as jnp
import pytest
from known_waits import Clock, TimedStep, periodic

from alexnet_jax.errors import UserError
from alexnet_jax.training import metric_window
from alexnet_jax.training.metric_window import MetricWindow, steps_in_flight


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(metric_window, "time", clock)
    return clock


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


def test_the_speed_is_that_since_the_clock_was_started_anew(clock):
    window = fill([1.0, 2.0])
    clock.wait_until(5.0)
    window.restart_clock()
    clock.wait_until(5.5)
    assert window.close(step=2)["images_per_second"] == 20 / 0.5


def test_a_mean_keeps_what_a_sum_in_float32_would_lose():
    assert fill([2.0**24, 1.0]).close(2)["loss"] == 2**23 + 0.5


@pytest.mark.parametrize(("backend", "steps"), [("cpu", 0), ("gpu", 2), ("tpu", 2)])
def test_two_steps_are_queued_but_none_on_cpus(backend, steps, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert steps_in_flight() == steps


@pytest.mark.parametrize(("in_flight", "elapsed"), [(0, 6.0), (2, 2.0)])
def test_the_host_runs_no_further_ahead_than_it_may(in_flight, elapsed, clock, monkeypatch):
    monkeypatch.setattr(metric_window, "steps_in_flight", lambda: in_flight)
    step, window = TimedStep(clock, 2.0), MetricWindow(batch_size=10)
    for _ in range(3):
        window.add(step(None, None)[1], iter(()))
    assert clock.perf_counter() == elapsed


@pytest.mark.parametrize("in_flight", [0, 2])
@pytest.mark.parametrize(("step_seconds", "period"), [(100, 105), (80, 100), (25, 250)])
def test_waiting_is_the_share_of_time_in_which_the_devices_idle(
    step_seconds, period, in_flight, clock, monkeypatch
):
    monkeypatch.setattr(metric_window, "steps_in_flight", lambda: in_flight)
    step, batches = TimedStep(clock, step_seconds), periodic(clock, period, 8)
    batch = next(batches)
    window = MetricWindow(batch_size=10)
    while batch is not None:
        _, metrics = step(None, batch)
        batch = window.add(metrics, batches)
    idle = 7 * (period - step_seconds) / (7 * period + step_seconds)
    assert window.close(8)["data_wait_fraction"] == pytest.approx(idle)


def test_what_comes_before_the_clock_starts_is_no_wait(clock):
    step, batches = TimedStep(clock, 2.0), periodic(clock, 20.0, 2)
    window = MetricWindow(batch_size=10)
    window.add(step(None, next(batches))[1], batches)
    window.close(1)
    window.add(step(None, {})[1], iter(()))
    assert window.close(2)["data_wait_fraction"] == 0.0


def test_the_rate_is_that_of_the_last_step():
    assert fill([1.0]).close(1)["learning_rate"] == pytest.approx(0.05)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_rate_and_advice(broken):
    window = fill([1.0, broken, 2.0])
    with pytest.raises(UserError, match=r"loss of step 8 is (nan|inf) at learning rate 0.05"):
        window.close(step=9)
