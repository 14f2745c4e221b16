"""Fine-tuning: a run that starts with the parameters of another."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from alexnet_jax.errors import UserError
from alexnet_jax.runs.data_facts import check_image_size
from alexnet_jax.runs.trained import TrainedNetwork, load_trained
from alexnet_jax.training.experiment import Experiment
from alexnet_jax.training.state import TrainState, start_average


@dataclass
class Pretrained:
    """The parameters of another run, read when they are first needed.

    Attributes:
        workdir: Workdir of the other run.
        checkpoint: "best", "latest" or a step; None: the best, or the latest without evaluations.
        image_size: Side of this run's images in pixels.
        mesh: Mesh of devices.
    """

    workdir: str
    checkpoint: str | None
    image_size: int
    mesh: Mesh

    @cached_property
    def trained(self) -> TrainedNetwork:
        """The other run's network; UserError if its mean image has another size."""
        trained = load_trained(Path(self.workdir), self.mesh, self.checkpoint)
        check_image_size(trained.network.preprocessing, self.image_size, self.workdir)
        return trained

    def start(self, experiment: Experiment) -> TrainState:
        """Return the first state of a run that takes the parameters and batch statistics.

        Raises:
            UserError: a layer other than the output is missing, left over, or of another shape.
        """
        fresh, variables = experiment.create_state(), self.trained.state.variables
        output, batch_stats = experiment.network.model.spec.output_name, variables["batch_stats"]
        params = load_pretrained(variables["params"], fresh.params, output, self.workdir)
        average = start_average(params, batch_stats) if fresh.average else {}
        return replace(fresh, params=params, batch_stats=batch_stats, average=average)

    def describe(self, experiment: Experiment) -> str:
        """Return which layers are loaded, and which are initialized."""
        fresh = experiment.network.abstract_state.params
        return describe_pretrained(self.trained.state, fresh, self.workdir)


def load_pretrained(params: Any, fresh: Any, output: str, source: str) -> Any:
    """Return the parameters with which fine-tuning starts, by layer.

    Args:
        params: Parameters of the other run, by layer.
        fresh: Newly drawn parameters; the output layer takes these if its shape differs.
        output: Name of the output layer.
        source: Source of `params`, for messages.

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
    """Return which layers fine-tuning loads from another run, and which it initializes.

    Args:
        state: State of the other run.
        fresh: Parameters of this run, by layer, or their shapes.
        source: Workdir of the other run.
    """

    def shapes(layer: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, layer)

    taken = [name for name in fresh if shapes(state.params[name]) == shapes(fresh[name])]
    new = [name for name in fresh if name not in taken]
    text = f"parameters of {source}, checkpoint {int(state.step):,}: {', '.join(taken)}"
    return f"{text}; new: {', '.join(new)}" if new else text
