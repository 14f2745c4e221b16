import time

from alexnet_jax.diagnosis.timing import Budget, time_calls


def test_a_call_slower_than_its_time_is_timed_once():
    median, calls = time_calls(lambda: time.sleep(0.02), seconds=0.001)
    assert calls == 1
    assert median >= 0.02


def test_fast_calls_fill_their_time():
    median, calls = time_calls(lambda: time.sleep(0.002), seconds=0.02)
    assert 2 <= calls <= 10
    assert median >= 0.002


def test_a_budget_runs_out():
    budget = Budget(0.01)
    time.sleep(0.02)
    assert budget.left() < 0
    assert budget.spent() >= 0.02
    assert budget.share(0.5) == 0.005
