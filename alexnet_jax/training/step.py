"""One training step, compiled once for the whole run."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from alexnet_jax.data.augment import Augmentation, key_of
from alexnet_jax.data.mixup import Mixed
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import replicated, split_over_data
from alexnet_jax.parallel.partitioned_ops import partition_ops
from alexnet_jax.parallel.runtime import compiler_options
from alexnet_jax.training.accumulation import accumulate_gradients
from alexnet_jax.training.loss import Loss, cross_entropy
from alexnet_jax.training.state import TrainState, trained_variables

TrainStep = jax.stages.Wrapped  # (state, batch) -> (state, metrics)


def make_train_step(
    model: AlexNet,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    augmentation: Augmentation,
    seed: int,
    mesh: Mesh,
    *,
    described: TrainState,
    plateau_factor: float,
    num_microbatches: int = 1,
    loss: Loss = cross_entropy,
    mix: Callable[[jax.Array, jax.Array, jax.Array], Mixed] | None = None,
    update_average: Callable[[Any, Any, jax.Array], Any] | None = None,
) -> TrainStep:
    """Compile (state, batch) -> (state, metrics), which donates the state.

    Random draws depend on (seed, step, position in the global batch), not on the devices.

    Args:
        model: Network to train.
        optimizer: Transformation whose `update` accepts `rate_factor`.
        schedule: Learning rate by completed steps; reported in the metrics.
        augmentation: Applied to the whole batch; its images need less memory than the feature maps.
        seed: Seed of every random draw.
        mesh: Mesh of devices.
        described: Description of the state, from `abstract_state`.
        plateau_factor: Factor applied to the learning rates at each plateau.
        num_microbatches: Number of microbatches over which gradients are accumulated.
        loss: Function (logits, labels) -> losses.
        mix: Function (key, images, labels) -> means of two images each; None: single images.
        update_average: Function (average, variables, completed steps) -> average, or None.

    Returns:
        A function of the state and a batch (image uint8 [B, S, S, 3], label int32 [B]). Its metrics
        stay on the devices: the mean loss and top1_error of the batch before the update, and
        learning_rate. For mixed images, the error counts the one with the larger share.
    """
    batch_loss = _make_batch_loss(partition_ops(model, mesh), loss)

    def train_step(
        state: TrainState, batch: dict[str, jax.Array]
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Return the state after an update, and the metrics before it."""
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        augment_key, dropout_key = jax.random.split(key)
        images = augmentation(augment_key, batch["image"], state.step)
        others: tuple[jax.Array, ...] = ()
        if mix is not None:
            mixed = mix(key_of("mixup", augment_key), images, batch["label"])
            images, others = mixed.images, (mixed.other_labels, mixed.share)

        differentiate = partial(
            jax.value_and_grad(batch_loss, has_aux=True),
            state.params,
            state.batch_stats,
            dropout_key,
        )
        rows = (images, batch["label"], jnp.arange(len(images)), *others)
        (mean_loss, (top1_error, batch_stats)), gradients = accumulate_gradients(
            differentiate, rows, num_microbatches, mesh
        )
        rate_factor = jnp.float32(plateau_factor) ** state.plateau.drops.astype(jnp.float32)
        updates, opt_state = optimizer.update(
            gradients, state.opt_state, state.params, rate_factor=rate_factor
        )
        params = optax.apply_updates(state.params, updates)
        learning_rate = schedule(state.step) * rate_factor
        metrics = {"loss": mean_loss, "top1_error": top1_error, "learning_rate": learning_rate}
        average = state.average
        if update_average is not None:
            average = update_average(average, trained_variables(params, batch_stats), state.step)
        after = TrainState(state.step + 1, params, opt_state, state.plateau, batch_stats, average)
        return after, metrics

    state_shardings = jax.tree.map(lambda leaf: leaf.sharding, described)
    return jax.jit(
        train_step,
        in_shardings=(state_shardings, split_over_data(mesh)),
        out_shardings=(state_shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )


def _make_batch_loss(model: AlexNet, loss: Loss) -> Callable[..., tuple[jax.Array, tuple]]:
    """Return the function to differentiate: a batch's mean loss, by the parameters."""

    def batch_loss(
        params: optax.Params,
        batch_stats: Any,
        dropout_key: jax.Array,
        images: jax.Array,
        labels: jax.Array,
        positions: jax.Array,
        *others: jax.Array,
    ) -> tuple[jax.Array, tuple]:
        """Return the mean loss, and beside it the top-1 error and the new batch statistics.

        `others`: of mixed images the labels of the second ones, and the shares of the first.
        """
        logits, updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            images,
            train=True,
            positions=positions,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        losses = loss(logits, labels)
        if others:
            other_labels, share = others
            losses = share * losses + (1 - share) * loss(logits, other_labels)
        top1_error = jnp.mean(jnp.argmax(logits, axis=1) != labels, dtype=jnp.float32)
        return jnp.mean(losses), (top1_error, updated.get("batch_stats", {}))

    return batch_loss


def describe_batch(batch_size: int, image_size: int, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes, dtypes and shardings of a batch, of training or evaluation."""
    shapes = {
        "image": ((batch_size, image_size, image_size, 3), np.uint8),
        "label": ((batch_size,), np.int32),
        "mask": ((batch_size,), np.bool_),
    }
    sharding = split_over_data(mesh)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
        for name, (shape, dtype) in shapes.items()
    }
