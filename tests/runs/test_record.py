import math

from alexnet_jax.runs.record import stuck_advice


def test_a_loss_of_guessing_earns_advice():
    assert "still that of guessing (ln 1000 = 6.908)" in stuck_advice(6.9, 1000)


def test_advice_begins_at_99_percent_of_the_loss_of_guessing():
    assert stuck_advice(0.99 * math.log(1000), 1000)


def test_a_loss_below_guessing_earns_none():
    assert stuck_advice(6.5, 1000) is None
