import time

from alexnet_jax.diagnosis.timing import time_calls, time_results


def test_a_call_slower_than_its_time_is_timed_once():
    median, calls = time_calls(lambda: time.sleep(0.02), seconds=0.001)
    assert calls == 1
    assert median >= 0.02


def test_fast_calls_fill_their_time():
    median, calls = time_calls(lambda: time.sleep(0.002), seconds=0.02)
    assert 2 <= calls <= 10
    assert median >= 0.002


def endless(closed):
    try:
        while True:
            time.sleep(0.002)
            yield [1, 2]
    finally:
        closed.append(True)


def test_an_iterator_is_closed_when_its_time_is_over():
    closed = []
    number, total, elapsed = time_results(endless(closed), 0.02, len)
    assert closed
    assert 1 <= number <= 11
    assert total == 2 * number
    assert elapsed > 0.02
