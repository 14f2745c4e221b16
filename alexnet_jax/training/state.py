"""`TrainState`: everything of a run that checkpoints hold."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.runtime import compiler_options, wait_on_cpus
from alexnet_jax.parallel.sharding_rules import infer_sharding
from alexnet_jax.training.schedule import Plateau, new_plateau


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that a run resumes from."""

    step: jax.Array  # Completed steps, int32 scalar.
    params: Any  # By layer.
    opt_state: optax.OptState
    plateau: Plateau
    batch_stats: Any = field(default_factory=dict)  # {} without batch normalization.
    average: Any = field(default_factory=dict)  # Of `trained_variables`; {} in runs without one.

    @property
    def variables(self) -> dict[str, Any]:
        """The variables to evaluate the network with: the average, where the run keeps one."""
        return {"params": self.params, "batch_stats": self.batch_stats} | self.average


def trained_variables(params: Any, batch_stats: Any) -> dict[str, Any]:
    """Return what a run averages: no empty dictionaries, which checkpoints do not hold."""
    return {"params": params} | ({"batch_stats": batch_stats} if batch_stats else {})


def create_state(
    model: AlexNet,
    optimizer: optax.GradientTransformation,
    crop_size: int,
    seed: int,
    mesh: Mesh,
    described: TrainState,
) -> TrainState:
    """Draw the initial parameters from `seed`: a state as `abstract_state` describes it."""
    create = jax.jit(
        partial(_create, model, optimizer, crop_size, bool(described.average)),
        out_shardings=jax.tree.map(lambda leaf: leaf.sharding, described),
        compiler_options=compiler_options(mesh),
    )
    return wait_on_cpus(create(jax.random.key(seed)))


def abstract_state(
    model: AlexNet,
    optimizer: optax.GradientTransformation,
    crop_size: int,
    mesh: Mesh,
    averaged: bool = False,
) -> TrainState:
    """Describe the shapes, dtypes and shardings of a state.

    With `averaged`, the state keeps an average of the variables.
    """
    key = jax.eval_shape(jax.random.key, 0)
    shapes = jax.eval_shape(partial(_create, model, optimizer, crop_size, averaged), key)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        infer_sharding(mesh, model.spec, shapes),
    )


def fresh_state(
    params: Any, batch_stats: Any, optimizer: optax.GradientTransformation, averaged: bool
) -> TrainState:
    """Return the first state of a run that starts with `params` and `batch_stats`."""
    opt_state = optimizer.init(params)
    average = start_average(params, batch_stats) if averaged else {}
    return TrainState(jnp.int32(0), params, opt_state, new_plateau(), batch_stats, average)


def start_average(params: Any, batch_stats: Any) -> dict[str, Any]:
    """Return the average before the first step: copies, because a step consumes its state."""
    return jax.tree.map(jnp.copy, trained_variables(params, batch_stats))


@jax.jit
def is_finite(state: TrainState) -> jax.Array:
    """Return whether all that training changes is finite: bool scalar."""
    leaves = jax.tree.leaves((state.params, state.opt_state, state.batch_stats, state.average))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


@partial(jax.jit, static_argnums=(0, 1, 2, 3))  # So that it is traced once per run.
def _create(
    model: AlexNet,
    optimizer: optax.GradientTransformation,
    crop_size: int,
    averaged: bool,
    key: jax.Array,
) -> TrainState:
    images = jnp.zeros((1, crop_size, crop_size, 3))
    variables = model.init(key, images, train=False)
    return fresh_state(variables["params"], variables.get("batch_stats", {}), optimizer, averaged)
