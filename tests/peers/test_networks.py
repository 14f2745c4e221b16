"""Every network against one built in PyTorch from the sources, with random weights and images."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from alexnet_jax.models import MODELS, AlexNet, create_model

torch = pytest.importorskip("torch", reason="`make test-peers` installs torch")

from torch_layout import (  # noqa: E402
    Params,
    flat_to_torch,
    gradients_from_torch,
    images_to_torch,
    last_maps,
    params_to_torch,
    random_params,
    random_statistics,
    relative_error,
)
from torch_networks import Dropout, build  # noqa: E402

pytestmark = pytest.mark.slow

CLASSES = 10


@dataclass
class Pair:
    """One network in JAX and in PyTorch, with the same parameters."""

    model: AlexNet
    params: Params
    batch_stats: Params
    peer: torch.nn.Sequential

    @property
    def variables(self):
        return {"params": self.params, "batch_stats": self.batch_stats}


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    model = create_model(request.param, CLASSES)
    params = random_params(model, seed=1)
    peer = build(request.param, CLASSES)
    batch_stats = random_statistics(model, seed=5)
    peer.load_state_dict(params_to_torch(params, batch_stats))
    return Pair(model, params, batch_stats, peer)


def draw_images(pair, count, seed):
    """White noise on the scale of 0-255, where normalization matters."""
    size = pair.model.spec.crop_size
    return 60 * np.random.default_rng(seed).standard_normal((count, size, size, 3), np.float32)


def drop_in_peer(pair):
    """Set a random mask for one image in each of the peer's dropouts; returns them for ours."""
    masks = []
    layers = list(pair.peer)
    generator = np.random.default_rng(3)
    for before, layer, after in zip(layers, layers[1:], layers[2:], strict=False):
        if isinstance(layer, Dropout):
            mask = generator.integers(0, 2, (1, after.in_features)).astype(bool)
            masks.append(mask)
            if isinstance(before, torch.nn.Flatten):
                mask = flat_to_torch(mask.T, last_maps(pair.params)).T
            layer.kept = torch.from_numpy(mask.copy())
    return masks


def test_logits_in_evaluation_equal_pytorchs(pair):
    images = draw_images(pair, 2, seed=2)
    evaluate = jax.jit(lambda variables, x: pair.model.apply(variables, x, train=False))
    with torch.no_grad():
        expected = pair.peer.eval()(images_to_torch(images)).numpy()
    assert relative_error(evaluate(pair.variables, images), expected) < 1e-4


def test_gradients_in_training_equal_pytorchs(pair, monkeypatch):
    masks = drop_in_peer(pair)
    monkeypatch.setattr(jax.random, "bernoulli", lambda key, p, shape: masks.pop(0).reshape(shape))
    weights = np.random.default_rng(4).standard_normal((1, CLASSES), np.float32)

    @jax.jit
    @jax.grad
    def gradients(params, images):
        rngs = {"dropout": jax.random.key(0)}
        variables = {"params": params, "batch_stats": pair.batch_stats}
        logits, _ = pair.model.apply(
            variables, images, train=True, rngs=rngs, mutable=["batch_stats"]
        )
        return (weights * logits).sum()

    def worst_error(seed):
        images = draw_images(pair, 1, seed)
        pair.peer.train().zero_grad()
        logits = pair.peer(images_to_torch(images))
        (torch.from_numpy(weights) * logits).sum().backward()
        expected = gradients_from_torch(pair.peer)
        errors = jax.tree.map(relative_error, gradients(pair.params, images), expected)
        return max(jax.tree.leaves(errors))

    # A unit within rounding of zero, or two that tie in a pool, have no gradient to agree on. One
    # such among 10^6 shows, in every fifth draw or so; five draws in a row with one are a defect.
    assert any(worst_error(seed) < 1e-4 for seed in range(5))
    assert not masks, "both dropouts were asked for a mask"
