"""Conclusions from the doctor's measurements: ratios, the bottleneck, and advice."""

import shlex
from pathlib import Path
from typing import Any

from alexnet_jax.data.pixel_store.manifest import store_command

_AUGMENTATION_LIMIT = 0.05
_DECODING_COUNTS = 5  # Where batches come faster than this many steps, decoding costs little.
_LONG_RUN = 7 * 86_400  # Seconds.
_LOOP_LIMIT = 0.9  # The whole loop should reach this fraction of its bottleneck's speed.


def add_conclusions(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the measurements of `diagnose` with what follows from them.

    New are augmentation_fraction, store, bottleneck, advice, and more about flops and the run.
    """
    flops, memory, data = measured["flops"], measured["memory"], measured["data"]
    step, augmentation = rate(measured, "step"), rate(measured, "augmentation")
    assert step is not None, "the step is always measured"
    done = flops["training_per_image"] * step
    fits, size = None, None
    if data:
        images = data["examples"] + data["validation_examples"]
        size = images * data["image_size"] ** 2 * 3
        device_bytes = memory["device_total"] or memory["host_total"]
        fits = size + memory["device_peak"] < device_bytes
    diagnosis = measured | {
        "augmentation_fraction": step / augmentation if augmentation else 0.0,
        "flops": flops
        | {"step_per_second": done, "utilisation": done / flops["ceiling_per_second"]},
        "store": {"bytes": size, "fits_device": fits},
        "bottleneck": _find_bottleneck(measured),
        "run": measured["run"] | _time_run(measured),
    }
    return diagnosis | {"advice": _advise(diagnosis, step)}


def _time_run(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds of the whole run, None if its length is unknown, and their source."""
    source = "loop" if rate(measured, "loop") else _find_bottleneck(measured)
    speed, images = rate(measured, source), measured["run"]["images"]
    return {"seconds": images / speed if images and speed else None, "measured": source}


def rate(diagnosis: dict[str, Any], stage: str) -> float | None:
    """Return a stage's images per second; None if it was skipped."""
    return diagnosis["stages"][stage].get("images_per_second")


def _find_bottleneck(measured: dict[str, Any]) -> str:
    """Return the slowest of the stages that overlap: batches, transfer or step."""
    stages = ["batches", "transfer", "step"]
    if measured["data"] and measured["data"]["source"] == "device":
        stages.remove("transfer")  # Batches are made on the device.
    rates = {name: speed for name in stages if (speed := rate(measured, name)) is not None}
    return min(rates, key=lambda name: rates[name])


def _advise(diagnosis: dict[str, Any], step: float) -> list[dict[str, str | None]]:
    """Return what to do, as text and the command that does it, the most important first."""
    advice: list[dict[str, str | None]] = []

    def add(text: str, command: str | None = None) -> None:
        advice.append({"text": text, "command": command})

    slowest, data, machine = diagnosis["bottleneck"], diagnosis["data"], diagnosis["machine"]
    if not data:
        message, python, command = diagnosis["missing"].partition("python -m")
        add(f"the input was not measured: {message.strip()}", python + command or None)
    if slowest == "step":
        add(*_about_step(diagnosis, step))
    else:
        add(*_about_input(diagnosis, step))
    cold = rate(diagnosis, "reading_cold")
    if data and cold is not None and cold < step:
        fits = data["image_bytes"] < diagnosis["memory"]["host_total"]
        when = "the first epoch, until the data are in memory" if fits else "every epoch"
        add(
            f"disk: {cold:,.0f} images/s from a cold cache, the step needs {step:,.0f}: the disk "
            f"is the limit in {when}; a faster one would help"
        )
    if diagnosis["augmentation_fraction"] > _AUGMENTATION_LIMIT:
        add(
            f"augmentation takes {diagnosis['augmentation_fraction']:.1%} of the step, more than "
            f"{_AUGMENTATION_LIMIT:.0%}; measure without color noise:",
            _command(diagnosis, "doctor", "--config.augment.color_noise=0"),
        )
    loop, limit = rate(diagnosis, "loop"), rate(diagnosis, slowest)
    if loop is not None and limit is not None and loop < _LOOP_LIMIT * limit:
        why, command = "reading, transfer and the step do not overlap as they should", None
        if machine["platform"] == "cpu":
            why = f"batches and steps share the {machine['cores']} cores"
            batches = rate(diagnosis, "batches") or 0.0
            if data and data["source"] == "records" and batches < _DECODING_COUNTS * step:
                why += "; the pixel store saves the decoding, with --config.data.source=store:"
                command = _store_command(data)
        text = f"the whole loop runs at {loop:,.0f} images/s, its bottleneck at {limit:,.0f}: {why}"
        add(text, command)
    seconds = diagnosis["run"]["seconds"] or 0.0
    if seconds > _LONG_RUN and machine["platform"] == "cpu":
        days = f"the run takes {seconds / 86_400:,.0f} days here: train on a GPU"
        add(f"{days}, and measure that first:", _command(diagnosis, "doctor"))
    return advice


def _command(diagnosis: dict[str, Any], program: str, *more: str) -> str:
    return shlex.join(["python", "-m", f"alexnet_jax.{program}", *diagnosis["arguments"], *more])


def _store_command(data: dict[str, Any]) -> str:
    return store_command(Path(data["data_dir"]), data["name"], data["image_size"])


def _about_step(diagnosis: dict[str, Any], step: float) -> tuple[str, str | None]:
    batches = rate(diagnosis, "batches")
    text = (
        f"step: {step:,.0f} images/s, {diagnosis['flops']['utilisation']:.0%} of this machine's "
        "matrix products"
    )
    if batches:
        text += f"; batches come {batches / step:,.1f}x as fast"
    machine = diagnosis["machine"]
    matrix_units = machine["platform"] != "cpu" or machine["amx"]
    if matrix_units and diagnosis["network"]["dtype"] == "float32":
        bfloat16 = "--config.model.dtype=bfloat16"
        return f"{text}: try {bfloat16}", _command(diagnosis, "doctor", bfloat16)
    if not batches:
        return text, None
    command = _command(diagnosis, "main", "--workdir=WORKDIR")
    return f"{text}: the input is not the limit; train with", command


def _about_input(diagnosis: dict[str, Any], step: float) -> tuple[str, str | None]:
    slowest, data, command = diagnosis["bottleneck"], diagnosis["data"], None
    name, where = slowest, ""
    if slowest == "batches":
        name, where = data["source"], f" on {diagnosis['machine']['cores']} cores"
    if slowest == "batches" and data["source"] == "records":
        todo = "build the pixel store, then give --config.data.source=store"
        command = _store_command(data)
    elif slowest == "batches" and data["source"] == "device":
        todo = "gathering batches on the device is the limit"
    elif diagnosis["store"]["fits_device"]:
        todo = "the pixels fit on the device, give --config.data.source=device"
        command = _command(diagnosis, "doctor", "--config.data.source=device")
    elif slowest == "batches":
        todo = "more cores, or faster memory, would help"
    else:
        todo = "the link to the device is the limit, faster reading gains nothing"
    speed = f"{rate(diagnosis, slowest):,.0f} images/s{where}"
    return f"{name}: {speed}, the step needs {step:,.0f}: {todo}", command
