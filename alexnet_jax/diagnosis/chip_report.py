"""The cost of a compiled step beside what the chip could do, as an object and as a table."""

from typing import Any

from alexnet_jax.diagnosis.chips import Chip, compiler_versions
from alexnet_jax.diagnosis.compiled_step import StepCost
from alexnet_jax.diagnosis.memory import smaller_batches


def describe_cost(
    cost: StepCost, chip: Chip, network: str, dtype: str, layout: str
) -> dict[str, Any]:
    """Return a step's cost on one of the chips, and its floor: bytes, seconds of products, memory.

    It has "cycles" on TPUs and "kernels" on GPUs, in all and by layer, and "seconds" where they
    follow from the estimate; the rest is the same for both.
    """
    tpu = chip.platform == "tpu"
    layers = {
        layer: ({"cycles": cycles} if tpu else {"kernels": kernels}) | {"bytes": moved}
        for layer, (kernels, cycles, moved) in cost.by_layer().items()
    }
    return {
        "chip": chip.name,
        "chips": cost.chips,
        "network": network,
        "dtype": dtype,
        "batch": cost.batch_size,
        "layout": layout,
        **({"cycles": cost.cycles} if tpu else {"kernels": cost.kernels}),
        "bytes": cost.bytes,
        "temporary_bytes": cost.temporary_bytes,
        "total_bytes": cost.total_bytes,
        "memory_bytes": round(chip.memory),
        "fits": cost.total_bytes <= chip.memory,
        "seconds": cost.cycles / chip.clock if chip.clock and cost.cycles else None,
        "floor": {
            "bytes": cost.least_bytes,
            "bytes_seconds": cost.least_bytes / chip.bandwidth,
            "products_seconds": cost.flops / chip.flops,
        },
        "layers": layers,
        "versions": compiler_versions(chip),
    }


def format_cost(found: dict[str, Any], chip: Chip) -> str:
    """Format an object of `describe_cost`."""
    tpu, images = chip.platform == "tpu", found["batch"] // found["chips"]
    whole = (
        f"{found['cycles'] / 1e6:.1f} M cycles by the compiler's estimate"
        if tpu
        else f"{found['kernels']} kernels"
    )
    if found["seconds"]:
        rate = found["batch"] / found["seconds"]
        whole += (
            f": {found['seconds'] * 1e3:.1f} ms, {rate:,.0f} images/s on {found['chips']} chips"
        )
    floor = found["floor"]
    moving = found["bytes"] / chip.bandwidth
    lines = [
        f"{found['network']}, {found['dtype']}, {images} images on each of {found['chips']} "
        f"{chip.name}, layout {found['layout']}; compiled, not run",
        f"step        {whole}",
        f"traffic     {found['bytes'] / 1e9:.2f} GB, {moving * 1e3:.1f} ms at "
        f"{chip.bandwidth / 1e9:,.0f} GB/s; {floor['bytes'] / 1e9:.2f} GB must move",
        f"products    {floor['products_seconds'] * 1e3:.1f} ms at {chip.flops / 1e12:.0f} TFLOP/s",
        f"memory      {found['total_bytes'] / 1e9:.2f} of {chip.memory / 1e9:.1f} GB, of which "
        f"{found['temporary_bytes'] / 1e9:.2f} GB temporary",
        f"limit       {'memory traffic' if moving > floor['products_seconds'] else 'products'}",
        f"source      {chip.source}",
        *([] if found["fits"] else [f"it does not fit: {smaller_batches(found['batch'])}"]),
        "",
        f"{'layer':<22} {'M cycles' if tpu else 'kernels':>9} {'MB':>9}",
    ]
    for layer, row in found["layers"].items():
        number = f"{row['cycles'] / 1e6:9.2f}" if tpu else f"{row['kernels']:9d}"
        lines.append(f"{layer:<22} {number} {row['bytes'] / 1e6:9.1f}")
    return "\n".join(lines)
