"""A short run of a small `owt` on a fixed batch against the same run in PyTorch, in float64.

All layers of `owt`, but fewer pixels and hidden units: test_networks.py compares the whole network.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest

from alexnet_jax.models import AlexNet, find_spec
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
from alexnet_jax.training.optimizer import pytorch_sgd, with_rate_factor
from alexnet_jax.training.schedule import step_decay
from alexnet_jax.training.state import abstract_state, create_state
from alexnet_jax.training.step import make_train_step

torch = pytest.importorskip("torch", reason="`make test-peers` installs torch")

from torch_layout import images_to_torch, params_to_torch  # noqa: E402
from torch_networks import Dropout, one_weird_trick  # noqa: E402

pytestmark = pytest.mark.slow

CLASSES, BATCH, STEPS, DROP = 5, 4, 30, 10
CROP, MAPS, DENSE = 127, 3, 512
# Twice torchvision's rate, lowered after ten steps. So small a network is not chaotic at it: the
# losses were within 2e-7 of PyTorch's.
RATE, MOMENTUM, WEIGHT_DECAY = 0.02, 0.9, 1e-4


class Untouched:
    """An augmentation that leaves the images alone."""

    crop_size = CROP

    def __call__(self, key, images, step):
        return images


@pytest.fixture(scope="module")
def batch():
    """White noise, where no two pixels tie in a pool, on the scale that `owt` is trained with."""
    generator = np.random.default_rng(0)
    return {
        "image": generator.standard_normal((BATCH, CROP, CROP, 3), np.float32),
        "label": generator.integers(0, CLASSES, BATCH).astype(np.int32),
    }


def run_ours(batch):
    """Returns the initial parameters and the loss at each step."""
    mesh = make_data_mesh(jax.devices()[:1])
    spec = find_spec("owt", ["no_dropout"])
    dense = tuple(replace(layer, features=DENSE) for layer in spec.dense)
    model = AlexNet(replace(spec, crop_size=CROP, dense=dense), CLASSES)
    schedule = step_decay(RATE, [DROP], 0.1)
    optimizer = pytorch_sgd(schedule, MOMENTUM, WEIGHT_DECAY)
    described = abstract_state(model, optimizer, CROP, mesh)
    state = create_state(model, optimizer, CROP, 0, mesh, described)
    initial = jax.device_get(state.params)
    step = make_train_step(
        model,
        with_rate_factor(optimizer),
        schedule,
        Untouched(),
        seed=0,
        mesh=mesh,
        described=described,
        plateau_factor=0.1,
    )
    losses = []
    for _ in range(STEPS):
        state, metrics = step(state, to_devices(batch, mesh))
        losses.append(float(metrics["loss"]))
    return initial, losses


def run_theirs(batch, initial):
    network = one_weird_trick(CLASSES, MAPS, DENSE).train()
    network.load_state_dict(params_to_torch(initial))
    network.double()
    for layer in network:
        if isinstance(layer, Dropout):
            layer.inverted, layer.kept = False, torch.ones(1)
    optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [DROP], gamma=0.1)
    losses = []
    images = images_to_torch(batch["image"]).double()
    labels = torch.from_numpy(batch["label"]).long()
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def test_thirty_steps_of_owt_have_pytorchs_losses(batch):
    initial, ours = run_ours(batch)
    theirs = run_theirs(batch, initial)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert ours[-1] < 0.75 * ours[0], "there was something to learn"
