import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.kernels.toom_cook import matrices, transform, transposed, windows


@pytest.mark.parametrize(
    ("points", "results"),
    [((0, 1, -1), 2), ((0, 1, -1, 2, -2), 4), ((0, 1, -1, 2, -2, 0.5, -0.5), 4), ((0,), 1)],
)
def test_products_at_points_are_a_convolution(points, results):
    of_numbers, of_window, of_products = (np.array(m) for m in matrices(points, results))
    rng = np.random.default_rng(0)
    numbers, window = rng.normal(size=len(points) + 1), rng.normal(size=of_window.shape[1])
    actual = of_products @ ((of_window @ window) * (of_numbers @ numbers))
    np.testing.assert_allclose(actual, np.correlate(numbers, window), rtol=1e-12)


def test_transforms_multiply_with_a_matrix():
    matrix = [[1.0, 0.0, -2.0], [0.5, 1.0, 0.0]]
    parts = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    actual = transform([jnp.array(part) for part in parts], matrix)
    np.testing.assert_allclose(jnp.stack(actual), np.array(matrix) @ parts, rtol=1e-6)


def test_terms_that_differ_in_sign_are_computed_once():
    jaxpr = jax.make_jaxpr(lambda x: transform([x, x + 1], [[1, 2], [1, -2], [-2, 2]]))(1.0)
    assert [str(equation.primitive) for equation in jaxpr.eqns].count("mul") == 2


def test_transposed_exchanges_rows_and_columns():
    assert transposed([[1, 2], [3, 4], [5, 6]]) == [(1, 3, 5), (2, 4, 6)]


def test_windows_are_a_step_apart():
    pixels = jnp.arange(10).reshape(1, 10)
    by_place = windows(pixels, across=4, step=3, count=3, axis=1)
    np.testing.assert_array_equal(
        jnp.concatenate(by_place).T, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    )
