"""Stochastic gradient descent: in Krizhevsky's order, in PyTorch's, and with rates by layer."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax


def krizhevsky_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float = 0.9,
    weight_decay: float = 0.0005,
    bias_rate_multiplier: float = 2.0,
    bias_learning_rate: optax.Schedule | None = None,
    layer_factors: Mapping[str, optax.Schedule] | None = None,
) -> optax.GradientTransformation:
    """Build the update rule of paper §5.

        v <- momentum·v - weight_decay·ε·w - ε·∂L/∂w
        w <- w + v

    The rate ε is inside the velocity, so a lower rate takes hold gradually; `optax.sgd` and PyTorch
    keep it outside. As in the 2012 code (`layer-params-145.cfg`), biases do not decay and learn
    at a rate of their own. All rates are functions of the step, so one compiled step serves a whole
    run.

    Args:
        learning_rate: ε, or a schedule of it by completed steps.
        momentum: share of the velocity that is kept.
        weight_decay: of kernels.
        bias_rate_multiplier: the biases' rate in units of ε.
        bias_learning_rate: the biases' rate itself, where it does not follow ε.
        layer_factors: by layer ("conv1"), what its kernel's rate is multiplied by, and that of its
            batch normalisation's scales. At 0 the layer is frozen, biases too: nothing of it
            moves, and its velocity stays as it is until the factor is above 0 again, as in the
            2012 code (`src/weights.cu:148`). Running statistics follow the batches all the same.
    """
    schedule = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)
    factors = layer_factors or {}

    def bias_rate(step: jax.Array) -> jax.Array:
        if bias_learning_rate is not None:
            return bias_learning_rate(step)
        return bias_rate_multiplier * schedule(step)

    def rate(layer: str, kind: str, step: jax.Array) -> jax.Array:
        factor = factors[layer](step) if layer in factors else jnp.float32(1)
        if kind == "bias":
            return jnp.where(factor != 0, bias_rate(step), 0.0)
        return schedule(step) * factor

    rule = optax.chain(
        optax.add_decayed_weights(weight_decay, mask=_kernels),
        _scale_by_rates(rate),
        optax.trace(decay=momentum),
    )
    return _hold_frozen(rule, factors) if factors else rule


def pytorch_sgd(
    learning_rate: optax.ScalarOrSchedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Build the update rule of `torch.optim.SGD`, which torchvision's recipe was run with.

        v <- momentum·v + ∂L/∂w + weight_decay·w
        w <- w - ε·v

    Biases decay and learn as kernels do.
    """
    rule = optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum))
    return optax.with_extra_args_support(rule)  # Takes a rate_factor and ignores it.


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

    for each tensor by itself; λ is 1 where |w| or |∂L/∂w| is 0. Without momentum a step moves a
    tensor by at most ε·trust_coefficient of its length, however large the gradient. The rate is
    inside the velocity, as in `krizhevsky_sgd`. `optax.lars` is another rule: its λ
    divides by |∂L/∂w + weight_decay·w|, which is smaller unless the two point the same way.

    Args:
        learning_rate: ε, or a schedule of it by completed steps.
        momentum: share of the velocity that is kept.
        weight_decay: of what adapts.
        trust_coefficient: η in the paper.
        adapt_biases: let biases, and the scales of batch normalisation, adapt and decay as kernels
            do: so in the authors' program (nvcaffe, `SGDSolver::GetLocalRate`). Else their λ is 1
            and they do not decay, as in MLPerf's reference for ResNet-50.
    """
    schedule = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)

    def adapt(gradient: jax.Array, parameter: jax.Array) -> jax.Array:
        length, slope = jnp.linalg.norm(parameter), jnp.linalg.norm(gradient)
        ratio = trust_coefficient * length / (slope + weight_decay * length)
        ratio = jnp.where((length > 0) & (slope > 0), ratio, 1.0)
        return ratio * (gradient + weight_decay * parameter)

    adapting = optax.stateless_with_tree_map(adapt)
    return optax.chain(
        adapting if adapt_biases else optax.masked(adapting, mask=_kernels),
        _scale_by_rates(lambda layer, kind, step: schedule(step)),
        optax.trace(decay=momentum),
    )


def _scale_by_rates(
    rate: Callable[[str, str, jax.Array], jax.Array],
) -> optax.GradientTransformation:
    """Multiply each gradient by minus the rate of its layer and kind ("kernel", "bias").

    `update` takes a `rate_factor` for all of them: of rates that depend on more than the step.
    """

    def update(
        updates: Any,
        state: optax.ScaleByScheduleState,
        params: Any = None,
        *,
        rate_factor: jax.Array | float = 1.0,
        **others: Any,
    ) -> tuple[Any, optax.ScaleByScheduleState]:
        def scale(path: tuple, gradient: jax.Array) -> jax.Array:
            return -rate_factor * rate(_layer(path), path[-1].key, state.count) * gradient

        scaled = jax.tree_util.tree_map_with_path(scale, updates)
        return scaled, optax.ScaleByScheduleState(optax.safe_increment(state.count))

    def init(params: Any) -> optax.ScaleByScheduleState:
        return optax.ScaleByScheduleState(jnp.zeros([], jnp.int32))

    return optax.GradientTransformationExtraArgs(init, update)


def _hold_frozen(
    rule: optax.GradientTransformationExtraArgs, factors: Mapping[str, optax.Schedule]
) -> optax.GradientTransformation:
    """Leave layers and their velocities as they are where their factor is 0.

    Without it a velocity would go on moving its layer by 1 / (1 - momentum) times its length.
    """

    def update(updates: Any, state: tuple, params: Any = None, **others: Any) -> tuple[Any, tuple]:
        _, clock, before = state
        moves, (decay, next_clock, after) = rule.update(updates, state, params, **others)

        def hold(path: tuple, still: jax.Array, moving: jax.Array) -> jax.Array:
            if _layer(path) not in factors:
                return moving
            return jnp.where(factors[_layer(path)](clock.count) == 0, still, moving)

        hold_all = jax.tree_util.tree_map_with_path
        moves = hold_all(hold, jax.tree.map(jnp.zeros_like, moves), moves)
        velocity = optax.TraceState(hold_all(hold, before.trace, after.trace))
        return moves, (decay, next_clock, velocity)

    return optax.GradientTransformationExtraArgs(rule.init, update)


def _layer(path: tuple) -> str:
    """Return the layer of a parameter; a normalisation's parameters are its convolution's."""
    return path[0].key.removesuffix("_norm")


def _kernels(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


# By the name in config.optimizer.name. Parameters: keys of config.optimizer, `learning_rate`, a
# schedule, and those that `krizhevsky_sgd` has for the rates of biases and of single layers.
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "krizhevsky_sgd": krizhevsky_sgd,
    "pytorch_sgd": pytorch_sgd,
    "lars": lars,
}
