"""Chips whose compilers run without them, and their published specifications."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from importlib.util import find_spec

import jax
from jax.experimental import topologies

from alexnet_jax.errors import UserError
from alexnet_jax.system.process import add_xla_flag


@dataclass(frozen=True)
class Chip:
    """A kind of chip."""

    name: str  # For --chip.
    platform: str  # "tpu" or "gpu".
    topology: str  # The smallest that its compiler takes.
    flops: float  # Peak of bfloat16 products, operations per second.
    bandwidth: float  # Of its memory, bytes per second.
    memory: float  # Bytes.
    source: str  # Of these numbers.
    clock: float | None = None  # Cycles per second, where it follows from the source.


CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            "v5e", "tpu", "v5e:2x2", 197e12, 819e9, 16 * 2**30, "cloud.google.com/tpu/docs/v5e",
            # Four units of 128 x 128 multiply-adds a cycle make 197 TFLOP/s.
            clock=197e12 / (4 * 128 * 128 * 2),
        ),
        Chip(
            "v6e", "tpu", "v6e:2x2", 918e12, 1640e9, 32 * 2**30, "cloud.google.com/tpu/docs/v6e"
        ),
        Chip("h100", "gpu", "1x1x1", 989e12, 3.35e12, 80e9, "NVIDIA H100 data sheet, SXM5, dense"),
    )
}  # fmt: skip
_COMPILERS = {"tpu": "libtpu", "gpu": "jax-cuda13-plugin"}
_EXTRAS = {"tpu": "jax[tpu]", "gpu": "jax[cuda13]"}


def describe_devices(chip: Chip, topology: str) -> Sequence[jax.Device]:
    """Return devices that need not exist, for which the chip's own compiler makes programs.

    Their topology is such as "v5e:2x2" or, for GPUs, "2x1x1".

    Raises:
        UserError: the compiler is not installed, or does not know the topology.
    """
    if not has_compiler(chip):
        raise UserError(
            f"--chip={chip.name}: its compiler is not installed; it needs no chip: "
            f'pip install "{_EXTRAS[chip.platform]}=={jax.__version__}"'
        )
    if chip.platform == "tpu" and topology.partition(":")[0] != chip.name:
        raise UserError(
            f"--topology={topology} is none of {chip.name}; give one such as {chip.topology}"
        )
    jax.config.update("jax_platforms", "cpu")  # The compiler is asked for by name.
    jax.config.update("jax_enable_compilation_cache", False)  # It is for chips that are there.
    try:
        if chip.platform == "tpu":
            _keep_libtpu_from_the_network()
            return topologies.get_topology_desc(topology, platform="tpu").devices
        # Autotuning runs kernels, which needs the chip.
        add_xla_flag("--xla_gpu_autotune_level=0")
        target = (resources.files(__package__) / f"{chip.name}.txtpb").read_text()
        found = topologies.get_topology_desc(
            chip.name, "cuda", target_config=target, topology=topology
        )
        return found.devices
    except (RuntimeError, NotImplementedError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the compiler of {chip.name} takes no --topology={topology}: {reason}; give one such "
            f"as {chip.topology}"
        ) from error


def has_compiler(chip: Chip) -> bool:
    """Return whether the chip's compiler is installed."""
    return find_spec(_COMPILERS[chip.platform].replace("-", "_")) is not None


def find_chip(name: str) -> Chip:
    """Return a chip by name, or the first of a platform; UserError lists them."""
    for chip in CHIPS.values():
        if name in (chip.name, chip.platform):
            return chip
    raise UserError(f"--chip={name}: no such chip; there are {', '.join(CHIPS)}")


def compiler_versions(chip: Chip) -> dict[str, str]:
    """Return the versions of JAX and of the chip's compiler."""
    return {name: version(name) for name in ("jax", _COMPILERS[chip.platform])}


def _keep_libtpu_from_the_network() -> None:
    """Set what libtpu would otherwise request from a TPU's machine."""
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # No chip is taken.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
