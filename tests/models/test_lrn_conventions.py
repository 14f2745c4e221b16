"""What alpha and k of local response normalization mean, by network: three conventions, in NumPy.

Nothing need be installed for these.
"""

import numpy as np
import pytest

from alexnet_jax.kernels.operations import local_response_norm
from alexnet_jax.models import MODELS

# k, and what 1e-4 is divided by: the window's size, or nothing as the paper prints it.
CONVENTIONS = {"2012 code": (2, 5), "Caffe": (1, 5), "paper, literally": (2, 1)}


def normalize(x, k, divisor):
    """Over 5 channels, clipped at the edges, in float64."""
    squares = np.pad(np.square(x, dtype=np.float64), [(0, 0), (2, 2)])
    sums = sum(squares[:, start : start + x.shape[1]] for start in range(5))
    return x / (k + 1e-4 / divisor * sums) ** 0.75


@pytest.mark.parametrize(
    ("name", "convention"),
    [
        ("original", "2012 code"),
        ("single_tower", "2012 code"),
        ("one_column", "2012 code"),
        ("six_conv", "2012 code"),
        ("tiny", "2012 code"),
        ("caffe", "Caffe"),
        ("caffenet", "Caffe"),
        ("paper", "paper, literally"),
    ],
)
def test_a_network_normalises_by_its_convention_and_no_other(name, convention):
    x = np.random.default_rng(0).uniform(10, 100, (4, 16)).astype(np.float32)
    norm = MODELS[name].normalization
    actual = local_response_norm(x, norm.k, norm.alpha, norm.beta, norm.size)
    fits = {
        other: np.allclose(actual, normalize(x, *settings), rtol=1e-5)
        for other, settings in CONVENTIONS.items()
    }
    assert fits == {other: other == convention for other in CONVENTIONS}
