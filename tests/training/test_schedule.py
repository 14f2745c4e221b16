import pytest

from alexnet_jax.training.schedule import geometric, stepped


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.01), (249, 0.01), (250, 1.587e-3), (500, 2.52e-4), (750, 4e-5), (999, 4e-5)],
)
def test_geometric_rates_are_those_of_run_170(step, rate):
    assert float(geometric(0.01, 1000, 250.0)(step)) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(("step", "rate"), [(9, 0.1), (10, 0.01), (19, 0.01), (20, 0.001)])
def test_stepped_rates_change_once_the_boundary_is_completed(step, rate):
    assert float(stepped(0.1, [10, 20], 0.1)(step)) == pytest.approx(rate, rel=1e-6)
