"""The update rule in PyTorch's order against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from alexnet_jax.training.optimizer import pytorch_sgd
from alexnet_jax.training.schedule import step_decay

torch = pytest.importorskip("torch", reason="`make test-peers` installs torch")

pytestmark = pytest.mark.slow

STEPS, DROPS = 50, (20, 35)


def test_fifty_steps_with_two_drops_of_the_rate_equal_pytorchs():
    gradients = np.random.default_rng(0).standard_normal((STEPS, 2, 3), np.float32)
    params = {"fc": {"kernel": jnp.ones(3), "bias": jnp.ones(3)}}
    optimizer = pytorch_sgd(step_decay(0.1, DROPS, 0.1), momentum=0.9, weight_decay=0.05)
    state = optimizer.init(params)

    peers = [torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    peer_optimizer = torch.optim.SGD(peers, lr=0.1, momentum=0.9, weight_decay=0.05)
    peer_schedule = torch.optim.lr_scheduler.MultiStepLR(peer_optimizer, DROPS, gamma=0.1)

    for kernel, bias in gradients:
        updates, state = optimizer.update({"fc": {"kernel": kernel, "bias": bias}}, state, params)
        params = optax.apply_updates(params, updates)
        for peer, gradient in zip(peers, (kernel, bias), strict=True):
            peer.grad = torch.from_numpy(gradient).double()
        peer_optimizer.step()
        peer_schedule.step()
        actual = jax.device_get(params["fc"])
        for ours, theirs in zip((actual["kernel"], actual["bias"]), peers, strict=True):
            np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=2e-6)
