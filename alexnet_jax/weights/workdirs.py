"""Between workdirs and bundles: what evaluate, predict and fine-tuning read, and back."""

from contextlib import closing
from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from alexnet_jax.config import default_config
from alexnet_jax.config.saved import complete, load_config, save_config
from alexnet_jax.data.preprocessing import load_preprocessing, save_preprocessing
from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.training.checkpoint_choice import read_chosen
from alexnet_jax.training.checkpoints import Checkpoints
from alexnet_jax.training.data_facts import load_class_names, save_class_names
from alexnet_jax.training.network import make_network
from alexnet_jax.training.provenance import save_environment
from alexnet_jax.training.recipe import (
    make_optimizer,
    make_schedule,
    resolve_config,
    resolve_durations,
)
from alexnet_jax.training.state import TrainState, fresh_state
from alexnet_jax.training.workdir import make_workdir
from alexnet_jax.weights.bundle import Bundle


def write_workdir(bundle: Bundle, workdir: Path) -> None:
    """Make a workdir whose one checkpoint, at step 0, holds the bundle's parameters.

    Raises:
        UserError: the folder holds a run already, or the disk is full.
    """
    taken = [name for name in ("config.json", "checkpoints") if (workdir / name).exists()]
    if taken:
        raise UserError(
            f"{workdir} holds a run already ({taken[0]}); remove it or give another --workdir"
        )
    config = resolve_config(_make_config(bundle))
    configure_jax()
    make_workdir(workdir)
    with full_disk_reported(workdir, "the imported weights"):
        save_environment(workdir)
        save_preprocessing(bundle.preprocessing, workdir)
        save_class_names(bundle.class_names, workdir)
        with closing(Checkpoints(workdir)) as checkpoints:
            checkpoints.save(_first_state(bundle, config))
        save_config(config, workdir)  # Last: without it the folder is no workdir.


def read_workdir(workdir: Path, checkpoint: str | None = None) -> Bundle:
    """Read a checkpoint of a workdir, which is printed, and what goes with it.

    Args:
        workdir: of a run.
        checkpoint: "best", "latest" or a step; None: the best, or the latest if no test says which.

    Raises:
        UserError: it is no workdir, or holds no such checkpoint that can be read.
    """
    config = resolve_config(load_config(workdir))
    configure_jax()
    preprocessing = load_preprocessing(workdir)
    durations = resolve_durations(config, examples=config.train.batch_size)
    network = make_network(config, preprocessing, make_data_mesh(), durations)
    state = read_chosen(workdir, network.abstract_state, checkpoint)
    # Where the data lie is a fact of this machine, not of the network.
    config.data.dir = default_config().data.dir
    return Bundle(
        model_name=config.model.name,
        params=jax.device_get(state.params),
        preprocessing=preprocessing,
        class_names=load_class_names(workdir, config.model.num_classes),
        crop_size=config.data.crop_size,
        dtype=config.model.dtype,
        changes=tuple(config.model.modifications),
        precision=config.model.precision,
        config=config.to_dict(),
        batch_stats=jax.device_get(state.batch_stats),
    )


def _make_config(bundle: Bundle) -> ConfigDict:
    """Return the config of the run that the bundle comes from, or else ImageNet's for its network.

    Of the latter only what describes the network and its input is a fact; the recipe is there for
    whoever wants to train it further.
    """
    config = default_config()
    if bundle.config is not None:
        config = complete(bundle.config)
    config.model.update(
        name=bundle.model_name,
        num_classes=len(bundle.class_names),
        dtype=bundle.dtype,
        modifications=tuple(bundle.changes),
    )
    config.data.update(image_size=bundle.image_size, crop_size=bundle.crop_size)
    return config


def _first_state(bundle: Bundle, config: ConfigDict) -> TrainState:
    """Return the state before the first step: the variables, and an optimizer that begins."""
    durations = resolve_durations(config, examples=config.train.batch_size)
    optimizer = make_optimizer(config, make_schedule(config, durations), durations)
    variables = jax.tree.map(jnp.asarray, bundle.variables)
    state = fresh_state(variables["params"], variables["batch_stats"], optimizer)
    return jax.device_put(state, replicated(make_data_mesh()))
