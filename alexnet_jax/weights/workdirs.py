"""Bundles from workdirs, and workdirs from bundles."""

from contextlib import closing
from pathlib import Path

import jax
import jax.numpy as jnp

from alexnet_jax.config import default_config
from alexnet_jax.errors import UserError
from alexnet_jax.monitoring.provenance import save_environment
from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.runs.data_facts import save_class_names
from alexnet_jax.runs.preprocessing_file import save_preprocessing
from alexnet_jax.runs.saved_config import complete, save_config
from alexnet_jax.runs.trained import open_trained
from alexnet_jax.runs.workdir import make_workdir
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.training.experiment import make_network
from alexnet_jax.training.from_config import resolve_config, resolve_durations
from alexnet_jax.training.state import fresh_state
from alexnet_jax.weights.bundle import Bundle


def write_workdir(bundle: Bundle, workdir: Path) -> None:
    """Create a workdir with one checkpoint, at step 0, that holds the bundle's parameters.

    Its config is the bundle's, or else the default one for ImageNet, with the bundle's network.

    Raises:
        UserError: the folder holds a run already, or the disk is full.
    """
    taken = [name for name in ("config.json", "checkpoints") if (workdir / name).exists()]
    if taken:
        raise UserError(
            f"{workdir} holds a run already ({taken[0]}); remove it or give another --workdir"
        )
    config = default_config() if bundle.config is None else complete(bundle.config)
    config.model.update(
        name=bundle.model_name,
        num_classes=len(bundle.class_names),
        dtype=bundle.dtype,
        modifications=tuple(bundle.modifications),
    )
    config.data.update(image_size=bundle.image_size, crop_size=bundle.crop_size)
    config = resolve_config(config)
    configure_jax()
    make_workdir(workdir)
    mesh, durations = make_data_mesh(), resolve_durations(config, config.train.batch_size)
    network = make_network(config, bundle.preprocessing, mesh, durations)
    variables = jax.tree.map(jnp.asarray, bundle.variables)
    averaged = bool(config.train.ema_decay)
    state = fresh_state(variables["params"], variables["batch_stats"], network.optimizer, averaged)
    with full_disk_reported(workdir, "the imported weights"):
        save_environment(workdir)
        save_preprocessing(bundle.preprocessing, workdir)
        save_class_names(bundle.class_names, workdir)
        with closing(Checkpoints(workdir)) as checkpoints:
            checkpoints.save(jax.device_put(state, replicated(mesh)))
        save_config(config, workdir)  # Last, because it makes the folder a workdir.


def read_workdir(workdir: Path, checkpoint: str | None = None) -> Bundle:
    """Read a checkpoint of a run's workdir, and print which one it is.

    `checkpoint` is "best", "latest" or a step; None: the best, or the latest if none was evaluated.

    Raises:
        UserError: it is not a workdir, or has no such readable checkpoint.
    """
    trained = open_trained(workdir, checkpoint)
    config = trained.config
    variables = jax.device_get(trained.state.variables)
    config.data.dir = default_config().data.dir  # A path of this machine must not be exported.
    return Bundle(
        model_name=config.model.name,
        params=variables["params"],
        preprocessing=trained.network.preprocessing,
        class_names=trained.class_names,
        crop_size=config.data.crop_size,
        dtype=config.model.dtype,
        modifications=tuple(config.model.modifications),
        precision=config.model.precision,
        kernels=config.model.kernels,
        config=config.to_dict(),
        batch_stats=variables["batch_stats"],
    )
