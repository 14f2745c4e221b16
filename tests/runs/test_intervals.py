import pytest

from alexnet_jax.runs.intervals import wilson_interval


@pytest.mark.parametrize(
    ("wrong", "count", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(wrong, count, low, high):
    assert wilson_interval(wrong / count, count) == pytest.approx((low, high), abs=5e-5)


def test_all_wrong_is_at_most_all():
    low, high = wilson_interval(1.0, 20)
    assert (1 - low, high) == pytest.approx((0.1611, 1.0), abs=5e-5)
