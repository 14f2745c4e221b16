"""Networks, trained networks read from their workdirs, and fine-tuning."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import jax
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.config.saved import load_config
from alexnet_jax.data.preprocessing import Preprocessing, load_preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import Predictor, make_view_predictor
from alexnet_jax.models import AlexNet
from alexnet_jax.training import recipe
from alexnet_jax.training.checkpoint_choice import read_chosen
from alexnet_jax.training.data_facts import load_class_names
from alexnet_jax.training.state import TrainState, abstract_state


@dataclass(frozen=True)
class Network:
    """A network and its optimizer."""

    model: AlexNet
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule  # The learning rate by completed steps.
    preprocessing: Preprocessing
    crop_size: int
    abstract_state: TrainState  # Shapes, dtypes and shardings.
    # (variables, images uint8 [B, S, S, 3], number of the view) -> probabilities.
    predict_view: Callable[[Any, jax.Array, int], jax.Array]

    def predictor(self, state: TrainState) -> Predictor:
        """Return (images, number of the view) -> probabilities, with the parameters of `state`."""
        return Predictor(partial(self.predict_view, state.variables), self.crop_size)


def make_network(
    config: ConfigDict, preprocessing: Preprocessing, mesh: Mesh, durations: recipe.Durations
) -> Network:
    """Build the network of a resolved config; UserError if the crop is too small for it."""
    model, crop_size = recipe.make_model(config), config.data.crop_size
    schedule = recipe.make_schedule(config, durations)
    optimizer = recipe.make_optimizer(config, schedule, durations)
    try:
        state = abstract_state(model, optimizer, crop_size, mesh, recipe.is_averaged(config))
    except ValueError as error:
        raise UserError(
            f"model {config.model.name!r} cannot take crops of {crop_size} pixels; it is made for "
            f"{model.spec.crop_size} ({error})"
        ) from error
    predict_view = make_view_predictor(model, preprocessing, crop_size, mesh)
    return Network(model, optimizer, schedule, preprocessing, crop_size, state, predict_view)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the parameters of a checkpoint."""

    config: ConfigDict  # Of its run, resolved.
    class_names: list[str]  # By label.
    network: Network
    state: TrainState

    @property
    def predict(self) -> Predictor:
        """(images, number of the view) -> probabilities."""
        return self.network.predictor(self.state)


def load_trained(
    workdir: Path, mesh: Mesh, checkpoint: str | None = None, notes: TextIO | None = None
) -> TrainedNetwork:
    """Read a workdir and print which checkpoint was read.

    Args:
        workdir: of a run.
        mesh: the devices.
        checkpoint: "best", "latest" or a step; None: the best, or the latest without evaluations.
        notes: where the checkpoint is printed; None: standard output.

    Raises:
        UserError: it is no workdir, or holds no such checkpoint that can be read.
    """
    config = recipe.resolve_config(load_config(workdir))
    # The number of training images sets when the rate changes, which is of no use here.
    durations = recipe.resolve_durations(config, examples=config.train.batch_size)
    network = make_network(config, load_preprocessing(workdir), mesh, durations)
    state = read_chosen(workdir, network.abstract_state, checkpoint, notes)
    class_names = load_class_names(workdir, config.model.num_classes)
    return TrainedNetwork(config, class_names, network, state)


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
