"""Memory and communication of a config's training step on devices that need not exist.

The step is compiled for that many CPU devices, which XLA simulates. What the devices send each
other is read from the compiled program: it does not depend on the kind of device, since
parallel/partitioned_ops.py writes it out.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.data.permutation import permute
from alexnet_jax.device_store.image_exchange import bytes_sent, plan_exchange
from alexnet_jax.diagnosis.traffic import bytes_by_kind, read_transfers
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import check_batch_divides
from alexnet_jax.training.experiment import Experiment, build_without_data
from alexnet_jax.training.from_config import resolve_config

_COLUMNS = ("all-reduce", "all-gather", "reduce-scatter")


def estimate_communication(
    config: ConfigDict, devices: int, per_machine: int
) -> list[dict[str, Any]]:
    """Compile the config's training step, its batch shared by all devices, once per layout.

    Call it in a process that has not used JAX's devices yet, since it configures them. A second
    axis of `per_machine` devices stays inside a machine.

    Returns:
        A row per layout: "layout"; "model_axis", the size of its second axis; "bytes_kept", of
        parameters and momentum on each device; "bytes_sent" by each device in a step, by kind of
        collective; "image_bytes_sent" by each device in a step with `data.source=device`;
        "problem", why the layout is impossible, or None.

    Raises:
        UserError: the batch does not divide over the devices.
    """
    config = resolve_config(config)
    check_batch_divides(config.train.batch_size, devices, "config.train.batch_size")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_enable_compilation_cache", False)
    own = (config.parallel.layout, config.parallel.model_axis)
    rows = []
    for layout, model_axis in candidates(own, devices, per_machine):
        row = {"layout": layout, "model_axis": model_axis}
        # A run may expect other numbers of processes and devices than there are here.
        config.parallel.update(**row, processes=None, devices=None)
        try:
            rows.append(row | _measure(build_without_data(config)) | {"problem": None})
        except UserError as error:
            nothing = {"bytes_kept": 0, "bytes_sent": None, "image_bytes_sent": None}
            rows.append(row | nothing | {"problem": str(error)})
    return rows


def candidates(
    own: tuple[str, int | None], devices: int, per_machine: int
) -> list[tuple[str, int | None]]:
    """Return the layouts to compare, with the size of their second axis, and the config's own."""
    found: list[tuple[str, int | None]] = [("data", None), ("hybrid", devices)]
    if 1 < per_machine < devices and devices % per_machine == 0:
        found.append(("hybrid", per_machine))
    found += [("columns", 2), ("fsdp", devices)]
    return found if own[1] is None or own in found else [*found, own]


def _measure(experiment: Experiment) -> dict[str, Any]:
    """Compile the step, and return the bytes of its row."""
    config = experiment.config
    state, mesh = experiment.network.abstract_state, experiment.mesh
    batch_size, image_size = config.train.batch_size, config.data.image_size
    lowered = experiment.lower_step()
    # The program is only read: compile it quickly, however slow it would run.
    hasty: dict[str, Any] = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    }
    program = lowered.compile(hasty).as_text()
    assert program is not None, "CPU programs have a text"
    kept = sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(state)
    )
    return {
        "bytes_kept": kept,
        "bytes_sent": bytes_by_kind(read_transfers(program, mesh.size)),
        "image_bytes_sent": _image_bytes_sent(batch_size, image_size, config.train.seed, mesh),
    }


def _image_bytes_sent(batch_size: int, image_size: int, seed: int, mesh: Mesh) -> int:
    """Return the bytes of images that each device sends in a step with `data.source=device`."""
    images = 64 * batch_size  # As many batches as a run plans together.
    order = permute(np.arange(images), images, seed, 0)
    return bytes_sent(plan_exchange(order.reshape(-1, batch_size), images, mesh), image_size)


def format_estimates(
    rows: Sequence[dict[str, Any]], batch_size: int, devices: int, link_gbps: float
) -> str:
    """Format the rows of `estimate_communication` in megabytes (10^6) and milliseconds."""
    lines = [
        f"{devices} devices, {batch_size} images a step, {batch_size // devices} on each device.",
        _image_line(rows, link_gbps),
        "What each keeps (parameters, momentum) and sends in a step, in MB; time at "
        f"{link_gbps:g} Gbit/s:\n",
        f"{'layout':<12} {'keeps':>8} {'sends':>9} {'all-reduce':>11} {'all-gather':>11} "
        f"{'reduce-scatter':>15} {'other':>7} {'time':>10}",
    ]
    for row in rows:
        axis = row["model_axis"]
        name = row["layout"] if axis is None else f"{row['layout']} {axis}"
        if row["problem"]:
            lines.append(f"{name:<12} {row['problem']}")
            continue
        total = sum(row["bytes_sent"].values())
        reduce, gather, scatter = (row["bytes_sent"].get(kind, 0.0) for kind in _COLUMNS)
        other = sum(size for kind, size in row["bytes_sent"].items() if kind not in _COLUMNS)
        lines.append(
            f"{name:<12} {row['bytes_kept'] / 1e6:>8.1f} {total / 1e6:>9.1f} "
            f"{reduce / 1e6:>11.1f} {gather / 1e6:>11.1f} {scatter / 1e6:>15.1f} "
            f"{other / 1e6:>7.1f} {_milliseconds(total, link_gbps):>7.2f} ms"
        )
    return "\n".join(lines)


def _image_line(rows: Sequence[dict[str, Any]], link_gbps: float) -> str:
    layouts: dict[int, list[str]] = {}  # By the bytes of images.
    for row in rows:
        if not row["problem"]:
            names = layouts.setdefault(row["image_bytes_sent"], [])
            names += [] if row["layout"] in names else [row["layout"]]
    amounts = "; ".join(
        f"{sent / 1e6:.1f} MB ({_milliseconds(sent, link_gbps):.2f} ms): {', '.join(names)}"
        for sent, names in layouts.items()
    )
    return f"With data.source=device, each also sends in a step of images: {amounts}."


def _milliseconds(count: float, link_gbps: float) -> float:
    return count * 8 / (link_gbps * 1e9) * 1e3
