"""A diagnosis as a table for people and as JSON for programs."""

import json
import textwrap
from dataclasses import asdict
from typing import Any

from alexnet_jax.diagnosis.advice import advise, bottleneck, fits_device
from alexnet_jax.diagnosis.diagnosis import Diagnosis
from alexnet_jax.diagnosis.timing import Skipped, Speed
from alexnet_jax.models.table import count_parameters, format_layers

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


def format_json(diagnosis: Diagnosis) -> str:
    """Return one JSON object: seconds, bytes, images a second; null for what is not known."""
    return json.dumps(describe(diagnosis), indent=2)


def describe(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return everything as plain values."""
    return {
        "machine": asdict(diagnosis.machine),
        "network": {
            "name": diagnosis.network,
            "dtype": diagnosis.dtype,
            "batch_size": diagnosis.batch_size,
            "parameters": count_parameters(diagnosis.rows),
            "multiply_adds": sum(row.multiply_adds for row in diagnosis.rows),
            "layers": [asdict(row) for row in diagnosis.rows],
        },
        "data": asdict(diagnosis.data) if diagnosis.data else None,
        "missing": diagnosis.missing or None,
        "stages": {name: asdict(outcome) for name, outcome in diagnosis.stages.items()},
        "data_wait_fraction": diagnosis.wait_fraction,
        "compile_seconds": diagnosis.compile_seconds,
        "augmentation_fraction": diagnosis.augmentation_fraction,
        "flops": {
            "training_per_image": diagnosis.flops_per_image,
            "step_per_second": diagnosis.flops_per_image * diagnosis.step_rate,
            "ceiling_per_second": diagnosis.ceiling,
            "utilisation": diagnosis.utilisation,
        },
        "memory": asdict(diagnosis.memory),
        "store": {"bytes": diagnosis.store_bytes, "fits_device": fits_device(diagnosis)},
        "bottleneck": bottleneck(diagnosis),
        "advice": [asdict(advice) for advice in advise(diagnosis)],
        "seconds": diagnosis.seconds,
    }


def format_table(diagnosis: Diagnosis) -> str:
    """Lay everything out for a terminal of 100 columns."""
    blocks = [
        _format_title(diagnosis),
        format_layers(diagnosis.rows),
        _format_stages(diagnosis),
        _format_facts(diagnosis),
        _format_advice(diagnosis),
    ]
    return "\n\n".join(blocks)


def _format_title(diagnosis: Diagnosis) -> str:
    machine, data = diagnosis.machine, diagnosis.data
    many = f"{machine.devices} x " if machine.devices > 1 else ""
    device = machine.processor if machine.platform == "cpu" else machine.device
    lines = [
        f"network   {diagnosis.network}, {diagnosis.dtype}, batch {diagnosis.batch_size}",
        f"machine   {many}{device} ({machine.platform}), {machine.cores} cores, jax {machine.jax}",
        f"data      {data.name}, {data.examples:,} images, from {data.source}"
        if data
        else "data      missing, see below",
    ]
    return "\n".join(lines)


def _format_stages(diagnosis: Diagnosis) -> str:
    lines = [f"{'stage':<26} {'images/s':>10} {'a batch':>10}"]
    for name, outcome in diagnosis.stages.items():
        if isinstance(outcome, Skipped):
            lines.append(f"{_NAMES[name]:<26} {'-':>10} {'-':>10}   {outcome.reason}")
            continue
        notes = "   ".join(_notes(diagnosis, name, outcome))
        row = (
            f"{_NAMES[name]:<26} {_number(outcome.images_per_second):>10} "
            f"{_duration(outcome.seconds):>10}   {notes}"
        )
        lines.append(row.rstrip())
    return "\n".join(lines)


def _notes(diagnosis: Diagnosis, name: str, speed: Speed) -> list[str]:
    notes = []
    if speed.bytes_per_second:
        notes.append(f"{_bytes(speed.bytes_per_second)}/s")
    if name in ("decoding", "batches") and diagnosis.data:
        notes.append(f"{diagnosis.data.threads} threads")
    if name == "augmentation":
        notes.append(f"{diagnosis.augmentation_fraction:.1%} of the step; under 5% is wanted")
    if name == "step":
        size = round(speed.images_per_second * speed.seconds)
        fewer = f" of {size} images, for lack of time" if size != diagnosis.batch_size else ""
        notes.append(f"{_steps(speed)}{fewer}, compiled in {diagnosis.compile_seconds:.1f} s")
    if name == "loop":
        notes.append(f"{_steps(speed)}, {diagnosis.wait_fraction:.1%} waiting for data")
    return notes


def _format_facts(diagnosis: Diagnosis) -> str:
    memory = diagnosis.memory
    done = diagnosis.flops_per_image * diagnosis.step_rate
    resident = f", now {_bytes(memory.host_resident)}" if memory.host_resident else ""
    how = "" if memory.device_peak_measured else ", by the compiler's account"
    of = f" of {_bytes(memory.device_total)}" if memory.device_total else ""
    lines = [
        f"utilisation    {diagnosis.utilisation:.1%} of matrix products alone: "
        f"{_flops(done)} of {_flops(diagnosis.ceiling)}",
        f"               ({diagnosis.flops_per_image / 1e9:.2f} GFLOP an image: "
        "multiply-adds x 2, x 3 for training)",
        f"host memory    peak {_bytes(memory.host_peak)}{resident}, of {_bytes(memory.host_total)}",
        f"device memory  peak {_bytes(memory.device_peak)}{of}{how}",
    ]
    if diagnosis.data and diagnosis.store_bytes:
        lines.append(f"pixel store    {_store(diagnosis, diagnosis.store_bytes)}")
    loop = diagnosis.rate("loop")
    if loop and diagnosis.data:
        images = diagnosis.data.run_steps * diagnosis.batch_size
        lines.append(
            f"the run        {diagnosis.data.run_steps:,} steps, {images:,} images: "
            f"{_duration(images / loop)} without tests"
        )
    return "\n".join(lines)


def _store(diagnosis: Diagnosis, size: int) -> str:
    memory = diagnosis.memory
    places = {
        "disk": (memory.disk_free or 0) > size,
        "memory": memory.host_total > size,
        "device": bool(fits_device(diagnosis)),
    }
    fits = [name for name, does in places.items() if does]
    not_ = [name for name, does in places.items() if not does]
    text = f"both splits {_bytes(size)}: "
    text += f"fits on {', '.join(fits)}" if fits else ""
    text += "; " if fits and not_ else ""
    return text + (f"does not fit on {', '.join(not_)}" if not_ else "")


def _format_advice(diagnosis: Diagnosis) -> str:
    lines = [f"bottleneck: {bottleneck(diagnosis)}"]
    for advice in advise(diagnosis):
        lines.append(
            textwrap.fill(
                advice.text,
                _WIDTH,
                initial_indent="- ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
        if advice.command:
            lines.append(f"    {advice.command}")
    lines.append(f"measured in {diagnosis.seconds:.0f} s")
    return "\n".join(lines)


def _steps(speed: Speed) -> str:
    return f"{speed.repetitions} step" + "s" * (speed.repetitions > 1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


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
