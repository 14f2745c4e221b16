"""Trained networks, read from their workdirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import Predictor
from alexnet_jax.models import MODELS
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.runs.checkpoint_choice import read_chosen
from alexnet_jax.runs.data_facts import load_class_names
from alexnet_jax.runs.preprocessing_file import load_preprocessing
from alexnet_jax.runs.saved_config import load_config
from alexnet_jax.training import from_config
from alexnet_jax.training.experiment import Network, make_network
from alexnet_jax.training.optimizer import OPTIMIZERS
from alexnet_jax.training.schedule import SCHEDULES
from alexnet_jax.training.state import TrainState


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the parameters of a checkpoint."""

    config: ConfigDict  # Of its run, resolved.
    class_names: list[str]  # By label.
    network: Network
    state: TrainState
    mesh: Mesh  # The devices.

    @property
    def predict(self) -> Predictor:
        """(images, number of the view) -> probabilities."""
        return self.network.predictor(self.state)


def load_trained(
    workdir: Path, mesh: Mesh, checkpoint: str | None = None, notes: TextIO | None = None
) -> TrainedNetwork:
    """Read a workdir and print which checkpoint was read.

    Args:
        workdir: Folder of a run.
        mesh: Mesh of devices.
        checkpoint: "best", "latest" or a step; None: the best, or the latest without evaluations.
        notes: Stream for the name of the checkpoint; None means standard output.

    Raises:
        UserError: it is no workdir, or holds no such checkpoint that can be read, or only its
            recipe registers a name of its config.
    """
    config = load_config(workdir)
    names = config.model.name, config.optimizer.name, config.schedule.name
    _check_registered(workdir, *names)
    config = from_config.resolve_config(config)
    # The number of training images sets when the rate changes, which is of no use here.
    durations = from_config.resolve_durations(config, examples=config.train.batch_size)
    network = make_network(config, load_preprocessing(workdir), mesh, durations)
    state = read_chosen(workdir, network.abstract_state, checkpoint, notes)
    class_names = load_class_names(workdir, config.model.num_classes)
    return TrainedNetwork(config, class_names, network, state, mesh)


def _check_registered(workdir: Path, model: str, optimizer: str, schedule: str) -> None:
    uses: dict[str, tuple[str, Mapping[str, object]]] = {
        "model": (model, MODELS),
        "optimizer": (optimizer, OPTIMIZERS),
        "schedule": (schedule, SCHEDULES),
    }
    unknown = [
        f"config.{group}.name={name!r}"
        for group, (name, known) in uses.items()
        if name not in known
    ]
    if unknown:
        raise UserError(
            f"{workdir} has {', '.join(unknown)}, unknown here; if your own recipe registers it, "
            "name the recipe's file: --recipe=FILE"
        )


def open_trained(
    workdir: Path,
    checkpoint: str | None = None,
    data_dir: str | None = None,
    notes: TextIO | None = None,
) -> TrainedNetwork:
    """Set up JAX, and read a workdir onto all devices.

    `data_dir` is the folder of its data set, if it has moved. Otherwise as `load_trained`.
    """
    configure_jax()
    trained = load_trained(workdir, make_data_mesh(), checkpoint, notes)
    if data_dir is not None:
        trained.config.data.dir = data_dir
    return trained
