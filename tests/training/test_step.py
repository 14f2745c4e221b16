import re
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from alexnet_jax.data.augment import (
    Augmentation,
    add_color_noise,
    key_of,
    random_crop,
    random_flip,
)
from alexnet_jax.data.mixup import mix_images
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import create_model
from alexnet_jax.parallel.mesh import make_data_mesh, split_over_data, to_devices
from alexnet_jax.training.loss import smoothed_cross_entropy
from alexnet_jax.training.optimizer import krizhevsky_sgd
from alexnet_jax.training.state import abstract_state, create_state
from alexnet_jax.training.step import describe_batch, make_train_step

pytestmark = pytest.mark.slow


def augmentation(random):
    preprocessing = Preprocessing(np.full((96, 96, 3), 120, np.float32), np.ones(3))
    if not random:
        return Augmentation(preprocessing, crop_size=80)
    noise = {
        "color_noise": lambda step: jnp.where(step < 100, 0.1, 0.0),
        "pca_eigenvectors": np.eye(3, dtype=np.float32),
        "pca_std": np.full(3, 60, np.float32),
    }
    return Augmentation(
        preprocessing=preprocessing,
        crop_size=80,
        crop=partial(random_crop, group_size=1),
        augments={
            "flip": partial(random_flip, group_size=1),
            "color_noise": partial(add_color_noise, **noise),
        },
        divisor=lambda step: 1.0 + noise["color_noise"](step),
    )


@pytest.fixture(scope="module")
def batches():
    """Batches of 16 images of coarse random blocks, 96 pixels wide, of four classes."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (3, 16, 6, 6, 3)).astype(np.uint8)
    images = blocks.repeat(16, axis=2).repeat(16, axis=3)
    return [{"image": image, "label": np.arange(16, dtype=np.int32) % 4} for image in images]


@cache  # Each is traced once, whichever tests take it.
def build(devices, random, rate=0.01, changes=(), parts=1, modern=False, **options):
    """Returns mesh, network, optimizer and step; `modern` has mixup and smoothed labels."""
    mesh = make_data_mesh(jax.devices()[:devices])
    model = create_model("tiny", num_classes=4, modifications=changes)
    schedule = optax.constant_schedule(rate)
    paper = {"momentum": 0.9, "weight_decay": 0.0005, "bias_rate_multiplier": 2.0}
    optimizer = krizhevsky_sgd(schedule, **paper | options)
    switches = {
        "loss": partial(smoothed_cross_entropy, label_smoothing=0.1),
        "mix": partial(mix_images, mixup=0.5),
    }
    step = make_train_step(
        model,
        optimizer,
        schedule,
        augmentation(random),
        3,
        mesh,
        described=abstract_state(model, optimizer, 80, mesh),
        plateau_factor=0.1,
        num_microbatches=parts,
        **switches if modern else {},
    )
    return mesh, model, optimizer, step


def start(mesh, model, optimizer):
    described = abstract_state(model, optimizer, 80, mesh)
    return create_state(model, optimizer, 80, 3, mesh, described)


def train(batches, devices, steps, random, rate=0.01, changes=()):
    mesh, model, optimizer, step = build(devices, random, rate, changes)
    state = start(mesh, model, optimizer)
    losses = []
    for number in range(steps):
        state, metrics = step(state, to_devices(batches[number % len(batches)], mesh))
        losses.append(float(metrics["loss"]))
    return step, state, losses


def test_four_devices_train_as_one_does(batches):
    """With random crops, flips, colors and dropout: each is keyed by the position alone."""
    (_, one, one_losses), (_, four, four_losses) = (
        train(batches, devices, steps=5, random=True) for devices in (1, 4)
    )
    np.testing.assert_allclose(four_losses, one_losses, rtol=1e-5)
    left, right = (np.asarray(ravel_pytree(state.params)[0]) for state in (one, four))
    assert np.linalg.norm(left - right) <= 1e-4 * np.linalg.norm(right)


def test_four_devices_normalise_by_the_whole_batch_as_one_does(batches):
    (_, one, one_losses), (_, four, four_losses) = (
        train(batches, devices, steps=3, random=True, changes=("batch_norm",)) for devices in (1, 4)
    )
    np.testing.assert_allclose(four_losses, one_losses, rtol=1e-4)
    left, right = (np.asarray(ravel_pytree(state.batch_stats)[0]) for state in (one, four))
    assert np.linalg.norm(left - right) <= 1e-4 * np.linalg.norm(right)


def test_the_same_run_gives_the_same_bits(batches):
    first, second = (train(batches, 4, steps=3, random=True)[1] for _ in range(2))
    for left, right in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(left, right)


def test_one_trace_serves_the_whole_run(batches):
    step, state, _ = train(batches, 4, steps=4, random=True)
    assert step._cache_size() == 1
    assert int(state.step) == 4


def test_one_batch_is_learnt_by_heart(batches):
    # At 0.01 it is learned too, but dropout shakes the loss; it may end on a spike.
    _, _, losses = train(batches[:1], 4, steps=150, random=False, rate=0.004)
    assert losses[0] > 1.2, "at first it guesses among four classes"
    assert np.mean(losses[-5:]) < 0.1


def test_the_state_given_is_consumed(batches):
    step, state, _ = train(batches, 4, steps=1, random=True)
    step(state, to_devices(batches[0], make_data_mesh()))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


def test_the_state_is_updated_in_place(batches):
    """Its buffers become those of the state returned, and no parameter is copied before."""
    step, state, _ = train(batches, 1, steps=1, random=True)
    batch = to_devices(batches[0], make_data_mesh(jax.devices()[:1]))
    program = step.lower(state, batch).compile()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert program.memory_analysis().alias_size_in_bytes >= size
    assert not re.findall(r"f32\S* copy\(\S*state_params__fc", program.as_text())


def test_a_step_can_be_lowered_before_its_arguments_are_there():
    mesh, model, optimizer, step = build(4, random=True)
    batch = {
        "image": np.zeros((8, 96, 96, 3), np.uint8),
        "label": np.zeros(8, np.int32),
        "mask": np.ones(8, bool),
    }
    state = start(mesh, model, optimizer)
    described = abstract_state(model, optimizer, 80, mesh)
    lowered = step.lower(described, describe_batch(batch_size=8, image_size=96, mesh=mesh))
    expected = step.lower(state, to_devices(batch, mesh))
    assert lowered.in_tree == expected.in_tree
    assert lowered.as_text() == expected.as_text()


def take_one_step(batches, parts=1, modern=False):
    """Take one step at rate 0.01 without chance but dropout's, and mixup's where it is modern.

    Returns:
        The step itself, the parameters before, the state after, the metrics.
    """
    mesh, model, optimizer, step = build(
        4, random=False, parts=parts, modern=modern, momentum=0.0, weight_decay=0.0
    )
    before = start(mesh, model, optimizer)
    params = jax.device_get(before.params)
    after, metrics = step(before, to_devices(batches[0], mesh))
    return step, params, after, jax.device_get(metrics)


def test_a_batch_that_is_described_is_split_over_the_devices():
    mesh = make_data_mesh()
    described = describe_batch(8, image_size=96, mesh=mesh).values()
    assert {array.sharding for array in described} == {split_over_data(mesh)}


@pytest.fixture(scope="module")
def one_step(batches):
    return take_one_step(batches)


def test_metrics_are_those_before_the_update(batches, one_step):
    _, params, after, metrics = one_step
    assert not np.allclose(params["fc8"]["kernel"], after.params["fc8"]["kernel"], rtol=1e-3)
    # Without chance but dropout's: the same key gives the same loss.
    key = jax.random.fold_in(jax.random.key(3), 0)
    apply = jax.jit(create_model("tiny", num_classes=4).apply, static_argnames="train")
    logits = apply(
        {"params": params},
        jnp.float32(batches[0]["image"][:, 8:88, 8:88]) - 120,
        train=True,
        rngs={"dropout": jax.random.split(key)[1]},
    )
    labels = batches[0]["label"]
    probabilities = jax.nn.softmax(logits)[jnp.arange(16), labels]
    np.testing.assert_allclose(metrics["loss"], -np.log(probabilities).mean(), rtol=1e-5)
    assert metrics["top1_error"] == np.mean(np.argmax(logits, axis=1) != labels)


def test_two_microbatches_make_the_step_of_the_whole_batch(batches, one_step):
    """Their images keep the dropout of their positions in the batch."""
    _, _, whole, metrics = one_step
    _, _, by_parts, metrics_by_parts = take_one_step(batches, parts=2)
    for name, value in metrics.items():
        assert metrics_by_parts[name] == pytest.approx(value, rel=1e-5)
    left, right = (np.asarray(ravel_pytree(state.params)[0]) for state in (by_parts, whole))
    assert np.linalg.norm(left - right) <= 1e-5 * np.linalg.norm(right)


@pytest.fixture(scope="module")
def modern_step(batches):
    return take_one_step(batches, modern=True)


def test_mixed_images_have_the_mean_loss_of_both_smoothed_labels(batches, modern_step):
    _, params, _, metrics = modern_step
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(jax.random.key(3), 0))
    images, labels = jnp.float32(batches[0]["image"][:, 8:88, 8:88]) - 120, batches[0]["label"]
    mixed = mix_images(key_of("mixup", augment_key), images, labels, 0.5)
    apply = jax.jit(create_model("tiny", num_classes=4).apply, static_argnames="train")
    logits = apply({"params": params}, mixed.images, train=True, rngs={"dropout": dropout_key})
    share, one_hot = np.asarray(mixed.share)[:, None], np.eye(4)
    targets = share * one_hot[labels] + (1 - share) * one_hot[np.roll(labels, 1)]
    losses = -np.sum((0.9 * targets + 0.1 / 4) * jax.nn.log_softmax(logits), axis=1)
    np.testing.assert_allclose(metrics["loss"], losses.mean(), rtol=1e-5)
    assert metrics["top1_error"] == np.mean(np.argmax(logits, axis=1) != labels)


def test_microbatches_keep_the_partners_of_the_whole_batch(batches, modern_step):
    _, _, whole, metrics = modern_step
    _, _, by_parts, metrics_by_parts = take_one_step(batches, parts=2, modern=True)
    assert metrics_by_parts["loss"] == pytest.approx(metrics["loss"], rel=1e-5)
    left, right = (np.asarray(ravel_pytree(state.params)[0]) for state in (by_parts, whole))
    assert np.linalg.norm(left - right) <= 1e-5 * np.linalg.norm(right)


def test_each_plateau_multiplies_the_rates(batches, one_step):
    step, params, after, metrics = one_step
    assert metrics["learning_rate"] == np.float32(0.01)
    mesh, model, optimizer, _ = build(4, random=False, parts=1, momentum=0.0, weight_decay=0.0)
    state = start(mesh, model, optimizer)
    drops = jax.device_put(jnp.int32(2), state.plateau.drops.sharding)
    state = replace(state, plateau=replace(state.plateau, drops=drops))
    lowered, metrics = step(state, to_devices(batches[0], mesh))
    assert metrics["learning_rate"] == pytest.approx(0.0001)
    whole, hundredth = (
        np.asarray(ravel_pytree(jax.tree.map(np.subtract, jax.device_get(end.params), params))[0])
        for end in (after, lowered)
    )
    np.testing.assert_allclose(hundredth, whole / 100, atol=1e-5 * np.abs(whole).max())
