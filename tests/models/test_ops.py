import re
from dataclasses import asdict
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.kernels import operations
from alexnet_jax.kernels.operations import local_response_norm, max_pool, spatial_response_norm
from alexnet_jax.models import ops
from alexnet_jax.models.ops import dropout
from alexnet_jax.models.spec import Normalization
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.runtime import compiler_options

pytestmark = pytest.mark.usefixtures("compiled_without_optimization")

PAPER = asdict(Normalization())


@pytest.fixture(params=[ops, operations], ids=["plain", "fast"])
def forms(request):
    return request.param


def normalize_with_loops(x, k, alpha, beta, size, groups):
    """Paper §3.3 in float64, one channel at a time."""
    x = np.asarray(x, np.float64)
    result = np.empty_like(x)
    width = x.shape[-1] // groups
    for channel in range(x.shape[-1]):
        start = channel // width * width
        low = max(start, channel - size // 2)
        high = min(start + width, channel + size // 2 + 1)
        sums = np.sum(np.square(x[..., low:high]), axis=-1)
        result[..., channel] = x[..., channel] / (k + alpha * sums) ** beta
    return result


def gradient_with_loops(x, above, k, alpha, beta, size, groups):
    """Of sum(above · normalized x) in float64: one pair of channels at a time."""
    x, above = np.asarray(x, np.float64), np.asarray(above, np.float64)
    scale = (normalize_with_loops(x, k, alpha, 1.0, size, groups) / x) ** -1
    result = above / scale**beta
    width = x.shape[-1] // groups
    for i, j in np.ndindex(x.shape[-1], x.shape[-1]):
        if i // width == j // width and abs(i - j) <= size // 2:  # i is in j's window.
            through = above[..., j] * x[..., j] * scale[..., j] ** (-beta - 1)
            result[..., i] -= 2 * alpha * beta * x[..., i] * through
    return result


def assert_near(actual, expected, tolerance=1e-6):
    """Hold the largest difference to a share of the largest number."""
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_lrn_equals_loops_in_float64(forms, groups, beta):
    x = 100 * jax.random.normal(jax.random.key(0), (2, 3, 3, 16))
    expected = normalize_with_loops(x, 2.0, 1e-3, beta, 5, groups)
    assert_near(forms.local_response_norm(x, 2.0, 1e-3, beta, 5, groups), expected)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_the_gradient_of_lrn_equals_loops_in_float64(forms, groups, beta):
    x, above = 100 * jax.random.normal(jax.random.key(0), (2, 2, 3, 3, 16))
    expected = gradient_with_loops(x, above, 2.0, 1e-3, beta, 5, groups)
    _, pull = jax.vjp(lambda x: forms.local_response_norm(x, 2.0, 1e-3, beta, 5, groups), x)
    assert_near(pull(above)[0], expected)


def test_lrn_does_not_look_across_groups(forms):
    x = jnp.ones((1, 8))
    louder = x.at[0, 4].set(100.0)
    first, second = (
        forms.local_response_norm(v, 2.0, 1.0, 0.75, 5, groups=2)[0, :4] for v in (x, louder)
    )
    np.testing.assert_array_equal(first, second)


def test_lrn_of_bfloat16_is_computed_in_float32(forms):
    x = jnp.full((1, 8), 120.0, jnp.bfloat16)
    expected = forms.local_response_norm(x.astype(jnp.float32), **PAPER).astype(jnp.bfloat16)
    actual = forms.local_response_norm(x, **PAPER)
    assert actual.dtype == jnp.bfloat16
    np.testing.assert_array_equal(actual, expected)


def test_lrn_refuses_an_even_window(forms):
    with pytest.raises(ValueError, match="size=4"):
        forms.local_response_norm(jnp.ones((1, 8)), **PAPER | {"size": 4})


def test_lrn_refuses_groups_that_do_not_divide(forms):
    with pytest.raises(ValueError, match="8 channels do not divide into 3 groups"):
        forms.local_response_norm(jnp.ones((1, 8)), **PAPER, groups=3)


@pytest.mark.slow
def test_spatial_norm_equals_loops_in_float64(forms):
    x = np.asarray(100 * jax.random.normal(jax.random.key(0), (2, 7, 6, 3)), np.float64)
    expected = np.empty_like(x)
    for row, column in np.ndindex(7, 6):
        window = x[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        sums = np.sum(np.square(window), axis=(1, 2))
        expected[:, row, column] = x[:, row, column] / (1 + 4e-5 * sums) ** 0.75
    actual = forms.spatial_response_norm(jnp.float32(x), alpha=4e-5, beta=0.75, size=5)
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize(
    "normalize",
    [
        lambda x: local_response_norm(x, **PAPER),
        lambda x: spatial_response_norm(x, 1e-3, 0.75, 5),
    ],
)
def test_the_gradient_of_a_normalisation_keeps_its_input_alone(normalize):
    x = jnp.ones((8, 9, 9, 64))
    options = compiler_options(make_data_mesh(jax.devices()[:1]))

    def arrays_of_layers(count):
        def loss(x):
            for _ in range(count):
                x = normalize(jnp.tanh(x))
            return x.sum()

        memory = jax.jit(jax.grad(loss)).lower(x).compile(options).memory_analysis()
        return memory.temp_size_in_bytes / x.nbytes

    assert arrays_of_layers(6) - arrays_of_layers(3) == pytest.approx(3)


def test_pooling_windows_overlap(forms):
    x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(forms.max_pool(x, 3, 2)[0, :, :, 0], [[12, 14], [22, 24]])


def test_pooling_refuses_a_map_smaller_than_its_window(forms):
    with pytest.raises(ValueError, match="3x3 pooling window does not fit a map of 2x2"):
        forms.max_pool(jnp.ones((1, 2, 2, 1)), 3, 2)


def test_dropout_of_2012_halves_units_in_evaluation():
    x = jnp.arange(6.0).reshape(1, 6)
    np.testing.assert_array_equal(dropout(x, 0.5, False, False, None), x / 2)


@pytest.mark.slow
def test_dropout_of_2012_leaves_kept_units_as_they_are():
    kept = dropout(jnp.full((100, 100), 3.0), 0.5, False, True, jax.random.key(0))
    assert set(np.unique(kept)) == {0.0, 3.0}


def test_inverted_dropout_scales_kept_units_in_training():
    kept = dropout(jnp.full((100, 100), 3.0), 0.5, True, True, jax.random.key(0))
    assert set(np.unique(kept)) == {0.0, 6.0}


def test_dropout_drops_at_its_rate():
    kept = dropout(jnp.ones((200, 200)), 0.3, False, True, jax.random.key(0))
    assert abs(float(kept.mean()) - 0.7) < 0.01


def forward_and_backward(layer, x, weights):
    @jax.jit  # In one program: one operation after the other takes ten times as long.
    def compute(x, weights):
        result, pull = jax.vjp(layer, x)
        return result, *pull(weights[: result.size].reshape(result.shape).astype(result.dtype))

    return compute(x, weights)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 7, 6, 16), (1, 5, 5, 8), (3, 9, 4, 4)])
@pytest.mark.parametrize("name", ["lrn", "lrn_of_two_groups", "spatial_norm", "max_pool"])
def test_equals_the_plain_form_forward_and_backward(name, shape):
    ours, plain = {
        "lrn": (
            lambda x: local_response_norm(x, 2.0, 1e-3, 0.75, 5, 1),
            lambda x: ops.local_response_norm(x, 2.0, 1e-3, 0.75, 5, 1),
        ),
        "lrn_of_two_groups": (
            lambda x: local_response_norm(x, 2.0, 1e-3, 0.6, 3, 2),
            lambda x: ops.local_response_norm(x, 2.0, 1e-3, 0.6, 3, 2),
        ),
        "spatial_norm": (
            lambda x: spatial_response_norm(x, 1e-3, 0.75, 5),
            lambda x: ops.spatial_response_norm(x, 1e-3, 0.75, 5),
        ),
        "max_pool": (
            lambda x: max_pool(x, 3, 2),
            lambda x: ops.max_pool(x, 3, 2),
        ),
    }[name]
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.normal(0, 30, shape))
    weights = jnp.float32(rng.normal(size=x.size))
    for actual, expected in zip(
        forward_and_backward(ours, x, weights),
        forward_and_backward(plain, x, weights),
        strict=True,
    ):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(actual / scale, expected / scale, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "stride"), [(3, 2), (2, 2), (3, 1), (2, 3)])
def test_pooling_passes_gradients_as_xla_does_among_equal_inputs(window, stride):
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.integers(0, 3, (2, 8, 7, 3)))
    weights = jnp.float32(rng.normal(size=x.size))
    for actual, expected in zip(
        forward_and_backward(lambda x: max_pool(x, window, stride), x, weights),
        forward_and_backward(lambda x: ops.max_pool(x, window, stride), x, weights),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-5, rtol=0)


def test_pooling_computes_bfloat16_in_float32_on_cpus():
    x = jnp.ones((2, 9, 9, 4), jnp.bfloat16)
    pool = partial(max_pool, window=3, stride=2)
    for function in (pool, jax.grad(lambda x: pool(x).astype(jnp.float32).sum())):
        traced = jax.jit(function).trace(x)
        program = traced.lower(lowering_platforms=("cpu",)).as_text()
        assert not re.search(r"stablehlo\.(add|maximum|compare) .*bf16", program)
    result, pull = jax.vjp(pool, x)
    assert (result.dtype, pull(result)[0].dtype) == (jnp.bfloat16, jnp.bfloat16)


@pytest.mark.slow
def test_pooling_gives_the_first_maximum_of_a_window_its_gradient(forms):
    x = jnp.array([[1.0, 5.0, 0.0], [5.0, 2.0, 3.0], [0.0, 5.0, 4.0]]).reshape(1, 3, 3, 1)
    gradient = jax.grad(lambda x: jnp.sum(7 * forms.max_pool(x, 3, 2)))(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 7, 0], [0, 0, 0], [0, 0, 0]])
