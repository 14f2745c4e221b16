"""The doctor's diagnosis as a table for a terminal."""

import textwrap
from typing import Any

from alexnet_jax.diagnosis.advice import rate
from alexnet_jax.layer_table import Row, format_layers

_WIDTH = 98
_NAMES = {
    "reading_cold": "reading, cold cache",
    "reading_warm": "reading, warm cache",
    "decoding": "decoding and scaling",
    "batches": "batches, as training does",
    "transfer": "transfer to the devices",
    "augmentation": "augmentation alone",
    "step": "training step, data there",
    "loop": "whole training loop",
}


def format_table(diagnosis: dict[str, Any]) -> str:
    """Format a diagnosis (see `diagnose`) for a terminal of 100 columns."""
    blocks = [
        _format_title(diagnosis),
        format_layers([Row(**layer) for layer in diagnosis["network"]["layers"]]),
        _format_stages(diagnosis),
        _format_facts(diagnosis),
        _format_advice(diagnosis),
    ]
    return "\n\n".join(blocks)


def _format_title(diagnosis: dict[str, Any]) -> str:
    machine, network, data = diagnosis["machine"], diagnosis["network"], diagnosis["data"]
    many = f"{machine['devices']} x " if machine["devices"] > 1 else ""
    device = machine["processor"] if machine["platform"] == "cpu" else machine["device"]
    found = f"{data['name']}, {data['examples']:,} images, from {data['source']}" if data else ""
    return "\n".join(
        [
            f"network   {network['name']}, {network['dtype']}, batch {network['batch_size']}",
            f"machine   {many}{device} ({machine['platform']}), {machine['cores']} cores, "
            f"jax {machine['jax']}",
            f"data      {found or 'missing, see below'}",
        ]
    )


def _format_stages(diagnosis: dict[str, Any]) -> str:
    lines = [f"{'stage':<26} {'images/s':>10} {'a batch':>10}"]
    for name, stage in diagnosis["stages"].items():
        if "reason" in stage:
            lines.append(f"{_NAMES[name]:<26} {'-':>10} {'-':>10}   {stage['reason']}")
            continue
        speed = stage["images_per_second"]
        number = f"{speed:,.0f}" if speed >= 100 else f"{speed:.1f}"
        notes = _format_notes(diagnosis, name, stage)
        row = f"{_NAMES[name]:<26} {number:>10} {_duration(stage['seconds']):>10}   {notes}"
        lines.append(row.rstrip())
    return "\n".join(lines)


def _format_notes(diagnosis: dict[str, Any], name: str, stage: dict[str, Any]) -> str:
    bandwidth, repetitions = stage["bytes_per_second"], stage["repetitions"]
    steps = f"{repetitions} step" + "s" * (repetitions > 1)
    if name in ("decoding", "batches") and diagnosis["data"]:
        return f"{diagnosis['data']['threads']} threads"
    if name == "augmentation":
        return f"{diagnosis['augmentation_fraction']:.1%} of the step; should be under 5%"
    if name == "step":
        size = round(stage["images_per_second"] * stage["seconds"])
        whole = size == diagnosis["network"]["batch_size"]
        fewer = "" if whole else f" of {size} images, for lack of time"
        return f"{steps}{fewer}, compiled in {diagnosis['compile_seconds']:.1f} s"
    if name == "transfer" and diagnosis["machine"]["platform"] == "cpu":
        return "a copy in memory: the device is the processor"
    if name == "loop":
        return f"{steps}, {diagnosis['data_wait_fraction']:.1%} waiting for data"
    return f"{_bytes(bandwidth)}/s" if bandwidth else ""


def _format_facts(diagnosis: dict[str, Any]) -> str:
    memory, flops, data = diagnosis["memory"], diagnosis["flops"], diagnosis["data"]
    now = f", now {_bytes(memory['host_resident'])}" if memory["host_resident"] else ""
    how = "" if memory["device_peak_measured"] else ", as the compiler reports it"
    of = f" of {_bytes(memory['device_total'])}" if memory["device_total"] else ""
    lines = [
        f"utilization    {flops['utilisation']:.1%} of matrix products alone: "
        f"{_flops(flops['step_per_second'])} of {_flops(flops['ceiling_per_second'])}",
        f"               ({flops['training_per_image'] / 1e9:.2f} GFLOP an image: "
        "multiply-adds x 2, x 3 for training, x 2 in conv1)",
        f"host memory    peak {_bytes(memory['host_peak'])}{now}, "
        f"of {_bytes(memory['host_total'])}",
        f"device memory  peak {_bytes(memory['device_peak'])}{of}{how}",
    ]
    if data:
        lines.append(f"pixel store    {_format_store(diagnosis['store'], memory)}")
    return "\n".join([*lines, f"the run        {_format_run(diagnosis)}"])


def _format_run(diagnosis: dict[str, Any]) -> str:
    run = diagnosis["run"]
    source = "" if run["measured"] == "loop" else f", from the speed of the {run['measured']} alone"
    if run["seconds"] is None:
        speed = rate(diagnosis, run["measured"])
        assert speed is not None, "the step is always measured"
        million = f"{_duration(1e6 / speed)} for a million images{source}"
        return f"{million}; the data set, and so its size, is missing"
    length = f"{run['steps']:,} steps of {diagnosis['network']['batch_size']:,} images"
    if run["epochs"] is not None:
        length = f"{run['epochs']:g} epochs, {length}"
    return (
        f"{length}: {_duration(run['seconds'])} on this machine\n"
        f"               (without evaluations{source}){_format_elsewhere(diagnosis)}"
    )


def _format_elsewhere(diagnosis: dict[str, Any]) -> str:
    here, steps = diagnosis["machine"]["device"], diagnosis["run"]["steps"]
    return "".join(
        f"\n               on one {known['device']} about "
        f"{_duration(steps * known['milliseconds'] / 1000)} (the step alone, jax {known['jax']})"
        for known in diagnosis["elsewhere"]
        if known["device"] != here
    )


def _format_store(store: dict[str, Any], memory: dict[str, Any]) -> str:
    places = {
        "disk": (memory["disk_free"] or 0) > store["bytes"],
        "memory": memory["host_total"] > store["bytes"],
        "device": store["fits_device"],
    }
    fits = ", ".join(name for name, does in places.items() if does)
    other = ", ".join(name for name, does in places.items() if not does)
    parts = [f"fits on {fits}"] * bool(fits) + [f"does not fit on {other}"] * bool(other)
    return f"both splits {_bytes(store['bytes'])}: {'; '.join(parts)}"


def _format_advice(diagnosis: dict[str, Any]) -> str:
    lines = [f"bottleneck: {diagnosis['bottleneck']}"]
    wrap = textwrap.TextWrapper(
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for advice in diagnosis["advice"]:
        lines.append(wrap.fill(advice["text"]))
        if advice["command"]:
            lines.append(f"    {advice['command']}")
    return "\n".join([*lines, f"measured in {diagnosis['seconds']:.0f} s"])


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if seconds >= length * (2 if length > 1 else 1):
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 1e-6:.0f} us"


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _flops(rate: float) -> str:
    return f"{rate / 1e12:,.1f} TFLOP/s" if rate >= 1e12 else f"{rate / 1e9:,.1f} GFLOP/s"
