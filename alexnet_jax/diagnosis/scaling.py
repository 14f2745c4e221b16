"""What a config's training step keeps and sends on devices that need not be there.

The step is compiled for so many CPU devices, which XLA only pretends to have, in a process of its
own. What the devices send each other is read from the compiled program: it does not depend on the
kind of device, since parallel/partitioned_ops.py writes it out.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class CommunicationEstimate:
    """One layout on so many devices.

    Attributes:
        layout: as in `config.parallel.layout`.
        model_axis: size of the second axis; None for `data`.
        bytes_kept: of the state (parameters and momentum), on each device.
        bytes_sent: by kind of collective, by each device in each step.
        problem: why the layout cannot be, if it cannot.
    """

    layout: str
    model_axis: int | None
    bytes_kept: int = 0
    bytes_sent: dict[str, float] | None = None
    problem: str | None = None

    @property
    def total_sent(self) -> float:
        """All that a device sends in a step, in bytes."""
        return sum((self.bytes_sent or {}).values())


def report(
    config: ConfigDict, devices: int, per_machine: int, link_gbps: float, as_json: bool
) -> str:
    """Return what `estimate_communication` found, as a table or as JSON."""
    found = estimate_communication(config, devices, per_machine)
    if as_json:
        return json.dumps([asdict(row) for row in found], indent=2)
    return format_estimates(found, config, devices, link_gbps)


def estimate_communication(
    config: ConfigDict, devices: int, per_machine: int
) -> list[CommunicationEstimate]:
    """Compile the config's training step for `devices` devices, once a layout.

    Args:
        config: its batch size counts for all devices together.
        devices: how many.
        per_machine: how many of them a machine holds; a second axis of that size stays inside.

    Raises:
        UserError: the batch does not divide over the devices.
    """
    from alexnet_jax.parallel.mesh import check_batch_divides
    from alexnet_jax.training.recipe import resolve_config

    config = resolve_config(config)
    check_batch_divides(config.train.batch_size, devices, "config.train.batch_size")
    command = [
        sys.executable,
        "-m",
        "alexnet_jax.diagnosis.scaling",
        str(devices),
        str(per_machine),
    ]
    child = subprocess.run(
        command, input=json.dumps(config.to_dict()), capture_output=True, text=True
    )
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{child.stderr}")
    return [CommunicationEstimate(**values) for values in json.loads(child.stdout)]


def format_estimates(
    found: Sequence[CommunicationEstimate], config: ConfigDict, devices: int, link_gbps: float
) -> str:
    """Lay the layouts out for a terminal, in megabytes (10^6) and milliseconds."""
    batch = config.train.batch_size
    lines = [
        f"{devices} devices, {batch} images a step, {batch // devices} of them a device.",
        "What each keeps (parameters, momentum) and sends in a step, in MB; time at "
        f"{link_gbps:g} Gbit/s:\n",
        f"{'layout':<12} {'keeps':>8} {'sends':>9} {'all-reduce':>11} {'all-gather':>11} "
        f"{'reduce-scatter':>15} {'other':>7} {'time':>10}",
    ]
    for row in found:
        name = row.layout if row.model_axis is None else f"{row.layout} {row.model_axis}"
        if row.problem:
            lines.append(f"{name:<12} {row.problem}")
            continue
        sent = dict(row.bytes_sent or {})
        listed = [
            sent.pop(kind, 0.0) / 1e6 for kind in ("all-reduce", "all-gather", "reduce-scatter")
        ]
        milliseconds = row.total_sent * 8 / (link_gbps * 1e9) * 1e3
        lines.append(
            f"{name:<12} {row.bytes_kept / 1e6:>8.1f} {row.total_sent / 1e6:>9.1f} "
            f"{listed[0]:>11.1f} {listed[1]:>11.1f} {listed[2]:>15.1f} "
            f"{sum(sent.values()) / 1e6:>7.1f} {milliseconds:>7.2f} ms"
        )
    return "\n".join(lines)


def candidates(config: ConfigDict, devices: int, per_machine: int) -> list[tuple[str, int | None]]:
    """Return the layouts to compare, each with the size of its second axis: the config's too."""
    found: list[tuple[str, int | None]] = [("data", None), ("hybrid", devices)]
    if 1 < per_machine < devices and devices % per_machine == 0:
        found.append(("hybrid", per_machine))
    found += [("columns", 2), ("fsdp", devices)]
    own = (config.parallel.layout, config.parallel.model_axis)
    return found if own[1] is None or own in found else [*found, own]


def _estimate_layout(
    config: ConfigDict, layout: str, model_axis: int | None
) -> CommunicationEstimate:
    import jax
    import numpy as np

    from alexnet_jax.parallel.traffic import bytes_by_kind, read_transfers
    from alexnet_jax.training.experiment import build_without_data
    from alexnet_jax.training.step import lower_step

    # The devices are pretended: how many a real run expects does not matter.
    config.parallel.update(layout=layout, model_axis=model_axis, processes=None, devices=None)
    try:
        experiment = build_without_data(config)
    except UserError as error:
        return CommunicationEstimate(layout, model_axis, problem=str(error))
    state, mesh = experiment.network.abstract_state, experiment.mesh
    lowered = lower_step(
        experiment.train_step, state, config.train.batch_size, config.data.image_size, mesh
    )
    # The program is only read: compile it quickly, however slow it would run.
    quickly: dict[str, str | bool] = {"xla_llvm_disable_expensive_passes": True}
    program = lowered.compile(quickly).as_text()
    assert program is not None, "CPU programs have a text"
    kept = sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(state)
    )
    sent = bytes_by_kind(read_transfers(program, mesh.size))
    return CommunicationEstimate(layout, model_axis, kept, sent)


def _main(devices: int, per_machine: int) -> None:
    """Read a config from standard input, print what is foreseen."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_enable_compilation_cache", False)
    config = ConfigDict(json.loads(sys.stdin.read()))
    found = [
        _estimate_layout(config, *choice) for choice in candidates(config, devices, per_machine)
    ]
    print(json.dumps([asdict(row) for row in found]))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
