"""The network of an experiment, with its optimizer and its predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import Predictor, make_view_predictor
from alexnet_jax.models import AlexNet
from alexnet_jax.training import recipe
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
