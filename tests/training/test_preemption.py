import os
import signal

import pytest

from alexnet_jax.training.preemption import Preempted, PreemptionGuard


@pytest.fixture(autouse=True)
def usual_handlers():
    """What a program in the foreground begins with, however the tests were started."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_remembered_and_gives_the_exit_code(number, code):
    with PreemptionGuard(0) as stop:
        stop.raise_if_preempted()
        os.kill(os.getpid(), number)
        with pytest.raises(Preempted) as caught:
            stop.raise_if_preempted()
    assert caught.value.exit_code == code
    caught.value.saved = True
    assert caught.value.exit_code == 75


def test_a_second_ctrl_c_acts_at_once():
    with PreemptionGuard(0), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with PreemptionGuard(0):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_iteration_ends_between_two_items():
    with PreemptionGuard(0) as stop:
        items = stop.interrupt(range(5))
        assert next(items) == 0
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Preempted):
            next(items)


def test_a_signal_that_the_shell_had_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with PreemptionGuard(0) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert next(stop.interrupt(range(5))) == 0
