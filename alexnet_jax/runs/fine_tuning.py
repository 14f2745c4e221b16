"""Fine-tuning: a run that starts with the parameters of another."""

from dataclasses import replace
from typing import Any

import jax

from alexnet_jax.errors import UserError
from alexnet_jax.training.state import TrainState, start_average


def start_from(trained: TrainState, fresh: TrainState, output: str, source: str) -> TrainState:
    """Return the fresh state of a run with the parameters and batch statistics of another.

    Args:
        trained: state of the other run.
        fresh: of this run; its output layer is kept if the other's has another shape.
        output: name of the output layer.
        source: workdir of the other run, for messages.

    Raises:
        UserError: another layer is missing, left over, or of another shape.
    """
    taken, batch_stats = trained.variables["params"], trained.variables["batch_stats"]
    params = load_pretrained(taken, fresh.params, output, source)
    average = start_average(params, batch_stats) if fresh.average else {}
    return replace(fresh, params=params, batch_stats=batch_stats, average=average)


def load_pretrained(params: Any, fresh: Any, output: str, source: str) -> Any:
    """Return the parameters with which fine-tuning starts, by layer.

    Args:
        params: of the other run.
        fresh: freshly drawn parameters; the output layer takes these if its shape differs.
        output: name of the output layer.
        source: of `params`, for messages.

    Raises:
        UserError: another layer is missing, left over, or of another shape.
    """
    if params.keys() != fresh.keys():
        raise UserError(
            f"{source} holds the layers {', '.join(params)}, this network needs "
            f"{', '.join(fresh)}: fine-tuning continues the same network; give its "
            "--config.model.name"
        )
    taken = {}
    for layer in fresh:
        same = jax.tree.map(lambda a, b: a.shape == b.shape, params[layer], fresh[layer])
        fits = all(jax.tree.leaves(same))
        if not fits and layer != output:
            raise UserError(
                f"{layer} of {source} is {params[layer]['kernel'].shape}, this network's is "
                f"{fresh[layer]['kernel'].shape}: fine-tuning continues the same network"
            )
        taken[layer] = params[layer] if fits else fresh[layer]
    return taken


def describe_pretrained(state: TrainState, fresh: Any, source: str) -> str:
    """Return which layers fine-tuning takes from another run, and which begin anew.

    Args:
        state: of the other run.
        fresh: parameters of this one, by layer, or their shapes.
        source: workdir of the other run.
    """

    def shapes(layer: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, layer)

    taken = [name for name in fresh if shapes(state.params[name]) == shapes(fresh[name])]
    new = [name for name in fresh if name not in taken]
    text = f"parameters of {source}, checkpoint {int(state.step):,}: {', '.join(taken)}"
    return f"{text}; new: {', '.join(new)}" if new else text
