"""Update rules: SGD in Krizhevsky's order and in PyTorch's, and LARS."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax


def krizhevsky_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float,
    weight_decay: float,
    bias_rate_multiplier: float,
    bias_learning_rate: optax.Schedule | None = None,
    layer_factors: Mapping[str, optax.Schedule] | None = None,
) -> optax.GradientTransformation:
    """Build the update rule of paper §5.

        v <- momentum·v - weight_decay·ε·w - ε·∂L/∂w
        w <- w + v

    The rate ε is inside the velocity, so a lower rate takes effect gradually; `optax.sgd` has it
    outside. As in the 2012 code (`layer-params-145.cfg`), biases have their own rate and no decay.

    Args:
        learning_rate: ε, or a schedule of it by completed steps.
        momentum: Fraction of the velocity that is kept.
        weight_decay: Weight decay of kernels.
        bias_rate_multiplier: Learning rate of biases in units of ε.
        bias_learning_rate: Learning rate of biases itself, if it does not follow ε.
        layer_factors: Factors of the rates of a layer's kernel and of its batch normalization's
            scales, by layer ("conv1"). At 0 the whole layer is frozen, and its velocity is kept
            until the factor is above 0 again, as in the 2012 code (`src/weights.cu:148`).
    """
    schedule = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)
    bias_rate = bias_learning_rate or (lambda step: bias_rate_multiplier * schedule(step))
    factors = layer_factors or {}

    def rate(layer: str, kind: str, step: jax.Array) -> jax.Array:
        if kind == "bias":
            return bias_rate(step)
        factor = factors[layer](step) if layer in factors else jnp.float32(1)
        return schedule(step) * factor

    decay = optax.add_decayed_weights(weight_decay, mask=_kernels)
    return _sgd(decay, rate, momentum, factors)


def pytorch_sgd(
    learning_rate: optax.ScalarOrSchedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Build the update rule of `torch.optim.SGD`, which torchvision's recipe uses.

        v <- momentum·v + ∂L/∂w + weight_decay·w
        w <- w - ε·v

    Biases are updated like kernels.
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum))


def lars(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
    adapt_biases: bool,
) -> optax.GradientTransformation:
    """Build layer-wise adaptive rate scaling (You, Gitman, Ginsburg, arXiv 1708.03888).

        λ <- trust_coefficient·|w| / (|∂L/∂w| + weight_decay·|w|)
        v <- momentum·v + ε·λ·(∂L/∂w + weight_decay·w)
        w <- w - v

    for each tensor; λ is 1 where |w| or |∂L/∂w| is 0. The rate is inside the velocity, as in
    `krizhevsky_sgd`. `optax.lars` is another rule: its λ divides by |∂L/∂w + weight_decay·w|.

    Args:
        learning_rate: ε, or a schedule of it by completed steps.
        momentum: Fraction of the velocity that is kept.
        weight_decay: Weight decay of the tensors that adapt.
        trust_coefficient: η in the paper.
        adapt_biases: Whether biases and the scales of batch normalization adapt and decay like
            kernels, as in the authors' program (nvcaffe, `SGDSolver::GetLocalRate`). Otherwise
            their λ is 1 and they do not decay, as in MLPerf's reference for ResNet-50.
    """
    schedule = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)

    def adapt(gradient: jax.Array, parameter: jax.Array) -> jax.Array:
        length, slope = jnp.linalg.norm(parameter), jnp.linalg.norm(gradient)
        ratio = trust_coefficient * length / (slope + weight_decay * length)
        ratio = jnp.where((length > 0) & (slope > 0), ratio, 1.0)
        return ratio * (gradient + weight_decay * parameter)

    decay = optax.stateless_with_tree_map(adapt)
    if not adapt_biases:
        decay = optax.masked(decay, mask=_kernels)
    return _sgd(decay, lambda layer, kind, step: schedule(step), momentum, {})


def with_rate_factor(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """Let the update of `rule` take a `rate_factor`: it multiplies the updates of other rules."""
    if "rate_factor" in inspect.signature(rule.update).parameters:
        return rule

    def update(gradients: Any, state: Any, params: Any, rate_factor: Any = 1.0) -> tuple[Any, Any]:
        updates, state = rule.update(gradients, state, params)
        return jax.tree.map(lambda leaf: rate_factor * leaf, updates), state

    return optax.GradientTransformationExtraArgs(rule.init, update)


def _sgd(
    decay: optax.GradientTransformation,
    rate: Callable[[str, str, jax.Array], jax.Array],
    momentum: float,
    factors: Mapping[str, optax.Schedule],
) -> optax.GradientTransformation:
    """Build v <- momentum·v - rate·g, w <- w + v for the gradients g that `decay` returns.

    `rate` takes layer, kind ("kernel", "bias", "scale") and step; an update multiplies it by its
    `rate_factor`. A layer whose factor is 0 keeps its parameters and its velocity.
    """
    with_path = jax.tree_util.tree_map_with_path

    def init(params: Any) -> tuple:  # As optax.chain has it, so that checkpoints stay readable.
        clock = optax.ScaleByScheduleState(jnp.zeros([], jnp.int32))
        return decay.init(params), clock, optax.TraceState(jax.tree.map(jnp.zeros_like, params))

    def update(
        gradients: Any,
        state: tuple,
        params: Any = None,
        *,
        rate_factor: jax.Array | float = 1.0,
        **others: Any,
    ) -> tuple[Any, tuple]:
        decayed, clock, before = state
        gradients, decayed = decay.update(gradients, decayed, params)

        def accelerate(path: tuple, gradient: jax.Array, velocity: jax.Array) -> jax.Array:
            layer_rate = rate(_layer(path), path[-1].key, clock.count)
            return -rate_factor * layer_rate * gradient + momentum * velocity

        def hold(path: tuple, still: jax.Array, moving: jax.Array) -> jax.Array:
            if _layer(path) not in factors:
                return moving
            return jnp.where(factors[_layer(path)](clock.count) == 0, still, moving)

        moves = with_path(accelerate, gradients, before.trace)
        velocity = optax.TraceState(with_path(hold, before.trace, moves))
        moves = with_path(hold, jax.tree.map(jnp.zeros_like, moves), moves)
        clock = optax.ScaleByScheduleState(optax.safe_increment(clock.count))
        return moves, (decayed, clock, velocity)

    return optax.GradientTransformationExtraArgs(init, update)


def _layer(path: tuple) -> str:
    """Return the layer of a parameter; batch normalization belongs to its convolution."""
    return path[0].key.removesuffix("_norm")


def _kernels(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


# By the name in config.optimizer.name. Parameters: keys of config.optimizer, `learning_rate`, a
# schedule, `bias_learning_rate` and `layer_factors`, as of `krizhevsky_sgd`.
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "krizhevsky_sgd": krizhevsky_sgd,
    "pytorch_sgd": pytorch_sgd,
    "lars": lars,
}
