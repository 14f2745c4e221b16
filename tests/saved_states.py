"""Small states, saved and restored in a workdir."""

from contextlib import closing

import jax
import jax.numpy as jnp

from alexnet_jax.parallel.mesh import make_data_mesh, replicated
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.training.schedule import new_plateau
from alexnet_jax.training.state import TrainState


def make_state(step):
    params = {"fc": {"kernel": jax.random.normal(jax.random.key(step), (20_000,))}}
    whole = replicated(make_data_mesh())
    return jax.device_put(
        TrainState(jnp.int32(step), params, (jnp.zeros(3),), new_plateau()), whole
    )


def describe(state):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )


def save(workdir, *steps, keep=()):
    with closing(Checkpoints(workdir)) as checkpoints:
        for step in steps:
            checkpoints.save(make_state(step), keep)


def restore(workdir):
    with closing(Checkpoints(workdir)) as checkpoints:
        return checkpoints.restore(describe(make_state(0)))


def read(workdir, step):
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:
        return checkpoints.read(step, describe(make_state(0)))


def steps(workdir):
    with closing(Checkpoints(workdir, read_only=True)) as checkpoints:
        return checkpoints.steps()


def data_files(workdir, step):
    folder = workdir / "checkpoints" / str(step) / "default" / "ocdbt.process_0" / "d"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_size)
