"""From a config to its network, as training and testing need it."""

from collections.abc import Callable
from dataclasses import dataclass

import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import make_view_predictor
from alexnet_jax.models import AlexNet, create_model
from alexnet_jax.training.recipe import make_optimizer, resolve_durations
from alexnet_jax.training.state import TrainState, abstract_state


@dataclass(frozen=True)
class Network:
    """A network as testing needs it.

    Attributes:
        model: the linen module.
        predict: (variables, images uint8 [B, S, S, 3], number of the view) -> probabilities.
        abstract_state: shapes, dtypes and shardings of its `TrainState`.
    """

    model: AlexNet
    predict: Callable
    abstract_state: TrainState


def make_network(config: ConfigDict, preprocessing: Preprocessing, mesh: Mesh) -> Network:
    """Build the network as testing needs it; UserError where the crop is too small for it."""
    model = make_model(config)
    # Only the structure of the state matters here, which no rate changes.
    schedule = optax.constant_schedule(0.0)
    optimizer = make_optimizer(config, schedule, resolve_durations(config, examples=1))
    try:
        described = abstract_state(model, optimizer, config.data.crop_size, mesh)
    except ValueError as error:
        raise UserError(
            f"model {config.model.name!r} cannot take crops of {config.data.crop_size} pixels; it "
            f"is made for {model.spec.crop_size} ({error})"
        ) from error
    predict = make_view_predictor(model, preprocessing, config.data.crop_size, mesh)
    return Network(model, predict, described)


def make_model(config: ConfigDict) -> AlexNet:
    """Return the linen module that the config names; UserError lists the known names."""
    model = config.model
    return create_model(
        model.name,
        model.num_classes,
        model.dtype,
        model.modifications,
        model.precision,
        model.kernels,
    )
