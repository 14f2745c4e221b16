import threading
import time

import pytest

from alexnet_jax.system.bounded_map import bounded_map


def test_results_keep_the_order_of_the_items():
    def slow_when_even(n):
        time.sleep(0.002 * (n % 2 == 0))
        return n * n

    assert list(bounded_map(slow_when_even, range(100), threads=8)) == [n * n for n in range(100)]


def test_it_never_reads_far_ahead_of_the_results_taken():
    taken = []

    def items():
        for n in range(1_000):
            taken.append(n)
            yield n

    results = bounded_map(lambda n: n, items(), threads=2)
    for _ in range(10):
        next(results)
    results.close()
    assert len(taken) <= 10 + 2 * 4


def test_only_the_callers_thread_touches_the_items():
    threads = set()

    def items():
        for n in range(50):
            threads.add(threading.current_thread())
            yield n

    list(bounded_map(lambda n: n, items(), threads=4))
    assert threads == {threading.current_thread()}


def test_an_error_reaches_the_caller_and_ends_the_threads():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(bounded_map(lambda n: 1 // (5 - n), range(100), threads=4))
    assert threading.active_count() == before
