"""Local response normalization against PyTorch's, which divides alpha by the window's size."""

import jax
import numpy as np
import pytest

from alexnet_jax.kernels.operations import local_response_norm

torch = pytest.importorskip("torch", reason="`make test-peers` installs torch")

from torch_layout import images_to_torch, relative_error  # noqa: E402

pytestmark = pytest.mark.slow

SIZE = 5


@pytest.fixture(scope="module")
def activations():
    """On the scale that 2012's reach, where the sum counts."""
    return 100 * np.random.default_rng(0).standard_normal((2, 7, 7, 32), np.float32)


@pytest.mark.parametrize("k", [1.0, 2.0])
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_lrn_equals_pytorchs(activations, k, beta):
    peer = torch.nn.LocalResponseNorm(SIZE, alpha=1e-3, beta=beta, k=k)
    expected = peer(images_to_torch(activations)).numpy()
    actual = local_response_norm(activations, k, 1e-3 / SIZE, beta, SIZE)
    assert relative_error(np.moveaxis(actual, -1, 1), expected) < 1e-6


def test_gradient_of_lrn_equals_pytorchs(activations):
    weights = np.random.default_rng(1).standard_normal(activations.shape, np.float32)

    def loss(x):
        return (weights * local_response_norm(x, 2.0, 1e-3 / SIZE, 0.75, SIZE)).sum()

    actual = jax.grad(loss)(activations)
    x = images_to_torch(activations).requires_grad_()
    peer = torch.nn.LocalResponseNorm(SIZE, alpha=1e-3, beta=0.75, k=2.0)
    (images_to_torch(weights) * peer(x)).sum().backward()
    assert relative_error(np.moveaxis(actual, -1, 1), x.grad.numpy()) < 1e-6
