"""Trained networks, read back from their workdirs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.config.saved import load_config
from alexnet_jax.data.preprocessing import Preprocessing, load_preprocessing
from alexnet_jax.evaluation.scoring import Predictor
from alexnet_jax.training.checkpoint_choice import read_chosen
from alexnet_jax.training.data_facts import load_class_names
from alexnet_jax.training.network import make_network
from alexnet_jax.training.recipe import resolve_config


@dataclass(frozen=True)
class Trained:
    """A network as a checkpoint of a workdir has it; `batch_stats` as in `TrainState`."""

    config: ConfigDict
    class_names: list[str]
    preprocessing: Preprocessing
    params: Any
    batch_stats: Any
    predict: Predictor


def load_trained(workdir: Path, mesh: Mesh, checkpoint: str | None = None) -> Trained:
    """Read a workdir: its config, its preprocessing and a checkpoint, which is printed.

    Args:
        workdir: of a run.
        mesh: the devices.
        checkpoint: "best", "latest" or a step; None: the best, or the latest if no test says which.

    Raises:
        UserError: it is no workdir, or holds no such checkpoint that can be read.
    """
    config = resolve_config(load_config(workdir))
    preprocessing = load_preprocessing(workdir)
    network = make_network(config, preprocessing, mesh)
    state = read_chosen(workdir, network.abstract_state, checkpoint)
    return Trained(
        config,
        load_class_names(workdir, config.model.num_classes),
        preprocessing,
        state.params,
        state.batch_stats,
        partial(network.predict, state.variables),
    )
