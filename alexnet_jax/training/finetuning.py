"""Beginning with the parameters of another run, whose classes may be others."""

from typing import Any

import jax

from alexnet_jax.errors import UserError


def load_pretrained(params: Any, fresh: Any, output: str, source: str) -> Any:
    """Return `params` of another run for a network that begins with `fresh`.

    The output layer is taken over where it has the same classes; else it begins anew.

    Args:
        params: of the other run, by layer.
        fresh: freshly drawn, by layer; their shapes are what the network needs.
        output: name of the output layer.
        source: where `params` come from, for messages.

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
        if not all(jax.tree.leaves(same)) and layer != output:
            raise UserError(
                f"{layer} of {source} is {params[layer]['kernel'].shape}, this network's is "
                f"{fresh[layer]['kernel'].shape}: fine-tuning continues the same network"
            )
        taken[layer] = params[layer] if all(jax.tree.leaves(same)) else fresh[layer]
    return taken
