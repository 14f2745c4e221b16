"""One training step, compiled once for the whole run."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from alexnet_jax.data.augment import Augmentation
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import replicated, split_over_data
from alexnet_jax.parallel.partitioned_ops import partition_ops
from alexnet_jax.parallel.runtime import compiler_options
from alexnet_jax.training.accumulation import accumulate_gradients
from alexnet_jax.training.state import TrainState, abstract_state

TrainStep = Callable[[TrainState, dict[str, jax.Array]], tuple[TrainState, dict[str, jax.Array]]]


def make_train_step(
    model: AlexNet,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    augmentation: Augmentation,
    seed: int,
    mesh: Mesh,
    plateau_factor: float,
    num_microbatches: int = 1,
) -> TrainStep:
    """Compile (state, batch) -> (state, metrics); the state given is consumed.

    Every random draw is keyed by (seed, step, position in the global batch), so the result does not
    depend on how many devices share the batch, but for rounding.

    Args:
        model: the network.
        optimizer: takes `rate_factor`, what its rates are multiplied by.
        schedule: its learning rate, for the metrics.
        augmentation: what is done to the images first.
        seed: of all draws.
        mesh: the devices.
        plateau_factor: what each plateau of the validation error multiplies the rates by.
        num_microbatches: over which the gradient is accumulated. Images are augmented all at once
            before: they take a tenth of the memory of the network's maps.

    Returns:
        A function of the state and a batch (image uint8 [B, S, S, 3], label int32 [B]). Its metrics
        stay on the devices: loss (mean of -log p) and top1_error of the batch before the update,
        and learning_rate.
    """
    partitioned_model = partition_ops(model, mesh)

    def train_step(
        state: TrainState, batch: dict[str, jax.Array]
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        augment_key, dropout_key = jax.random.split(key)
        images = augmentation(augment_key, batch["image"], state.step)

        def compute_loss(
            params: optax.Params, images: jax.Array, labels: jax.Array, positions: jax.Array
        ) -> tuple[jax.Array, tuple]:
            logits, updated = partitioned_model.apply(
                state.variables | {"params": params},
                images,
                train=True,
                positions=positions,
                rngs={"dropout": dropout_key},
                mutable=["batch_stats"],
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            top1_error = jnp.mean(jnp.argmax(logits, axis=1) != labels, dtype=jnp.float32)
            return jnp.mean(losses), (top1_error, updated.get("batch_stats", {}))

        differentiate = partial(jax.value_and_grad(compute_loss, has_aux=True), state.params)
        rows = (images, batch["label"], jnp.arange(len(images)))
        (loss, (top1_error, batch_stats)), gradients = accumulate_gradients(
            differentiate, rows, num_microbatches, mesh
        )
        rate_factor = jnp.float32(plateau_factor) ** state.plateau.drops.astype(jnp.float32)
        updates, opt_state = optimizer.update(
            gradients, state.opt_state, state.params, rate_factor=rate_factor
        )
        params = optax.apply_updates(state.params, updates)
        learning_rate = schedule(state.step) * rate_factor
        metrics = {"loss": loss, "top1_error": top1_error, "learning_rate": learning_rate}
        return TrainState(state.step + 1, params, opt_state, state.plateau, batch_stats), metrics

    described = abstract_state(model, optimizer, augmentation.crop_size, mesh)
    state_lies = jax.tree.map(lambda leaf: leaf.sharding, described)
    return jax.jit(
        train_step,
        in_shardings=(state_lies, split_over_data(mesh)),
        out_shardings=(state_lies, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )


def lower_step(
    step: TrainStep, state: TrainState, batch_size: int, image_size: int, mesh: Mesh
) -> jax.stages.Lowered:
    """Trace a step of `make_train_step` without its arguments, to compile it before they are there.

    Args:
        step: the step.
        state: described, by `abstract_state`.
        batch_size: images in the global batch.
        image_size: their side in pixels.
        mesh: the devices.
    """
    return step.lower(state, describe_batch(batch_size, image_size, mesh))  # type: ignore[attr-defined]


def describe_batch(batch_size: int, image_size: int, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Describe the shapes, dtypes and shardings of a batch, as training's and evaluation's are."""
    shapes = {
        "image": ((batch_size, image_size, image_size, 3), np.uint8),
        "label": ((batch_size,), np.int32),
        "mask": ((batch_size,), np.bool_),
    }
    lies = split_over_data(mesh)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=lies)
        for name, (shape, dtype) in shapes.items()
    }
