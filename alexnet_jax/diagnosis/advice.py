"""The bottleneck of a run, and what to do about it."""

from dataclasses import dataclass
from pathlib import Path

from alexnet_jax.data.pixel_store.manifest import store_command
from alexnet_jax.diagnosis.diagnosis import Data, Diagnosis

_AUGMENTATION_LIMIT = 0.05
_LOOP_LOSS = 0.9  # The whole loop should reach this part of its bottleneck.


@dataclass(frozen=True)
class Advice:
    """One thing to know or to do, and the command that does it, if one does."""

    text: str
    command: str | None = None


def bottleneck(diagnosis: Diagnosis) -> str:
    """Return the stage that decides the speed of training: batches, transfer or step."""
    # Reading and decoding make the batches; those made on the device need not be sent.
    stages = ["batches", "transfer", "step"]
    if diagnosis.data is not None and diagnosis.data.source == "device":
        stages.remove("transfer")
    rates = {name: rate for name in stages if (rate := diagnosis.rate(name)) is not None}
    return min(rates, key=lambda name: rates[name])


def advise(diagnosis: Diagnosis) -> list[Advice]:
    """Say what to do, what matters most first."""
    pole = bottleneck(diagnosis)
    advice = []
    if diagnosis.data is None:
        message, python, command = diagnosis.missing.partition("python -m")
        text = f"nothing is known of the input: {message.strip()}"
        advice.append(Advice(text, python + command or None))
    if diagnosis.data is not None and pole == "batches":
        advice.append(_about_batches(diagnosis, diagnosis.data))
    elif pole == "transfer":
        advice.append(_about_transfer(diagnosis))
    else:
        advice.extend(_about_step(diagnosis))
    advice.extend(_about_first_epoch(diagnosis))
    if diagnosis.augmentation_fraction > _AUGMENTATION_LIMIT:
        advice.append(
            Advice(
                f"augmentation takes {diagnosis.augmentation_fraction:.1%} of the step, more than "
                f"{_AUGMENTATION_LIMIT:.0%}: see config.augment"
            )
        )
    loop = diagnosis.rate("loop")
    slowest = diagnosis.rate(pole) or 0.0
    if loop is not None and loop < _LOOP_LOSS * slowest:
        advice.append(_about_loop(diagnosis, pole, loop, slowest))
    return advice


def fits_device(diagnosis: Diagnosis) -> bool | None:
    """Say whether the data set as pixels fits on one device beside the step."""
    total = diagnosis.memory.device_total or diagnosis.memory.host_total
    size = diagnosis.store_bytes
    return None if size is None else size + diagnosis.memory.device_peak < total


def _about_batches(diagnosis: Diagnosis, data: Data) -> Advice:
    rate = diagnosis.rate("batches") or 0.0
    what = (
        f"{data.source}: {rate:,.0f} images/s on {diagnosis.machine.cores} cores, "
        f"the step wants {diagnosis.step_rate:,.0f}"
    )
    if data.source == "records":
        command = store_command(Path(data.data_dir), data.name, diagnosis.image_size)
        return Advice(
            f"{what}: build the pixel store, then give --config.data.source=store", command
        )
    if data.source == "store" and fits_device(diagnosis):
        return Advice(f"{what}: the pixels fit on the device, give --config.data.source=device")
    if data.source == "store":
        return Advice(f"{what}: more cores, or faster memory, would help")
    return Advice(f"{what}: gathering batches on the device is the limit")


def _about_transfer(diagnosis: Diagnosis) -> Advice:
    rate = diagnosis.rate("transfer") or 0.0
    what = f"transfer: {rate:,.0f} images/s, the step wants {diagnosis.step_rate:,.0f}"
    if fits_device(diagnosis):
        return Advice(f"{what}: the pixels fit on the device, give --config.data.source=device")
    return Advice(f"{what}: the link to the device is the limit, faster reading gains nothing")


def _about_step(diagnosis: Diagnosis) -> list[Advice]:
    step, batches = diagnosis.step_rate, diagnosis.rate("batches")
    input_ = f"; batches come {batches / step:,.1f}x as fast" if batches else ""
    text = (
        f"step: {step:,.0f} images/s, {diagnosis.utilisation:.0%} of this machine's matrix "
        f"products{input_}"
    )
    if diagnosis.machine.platform != "cpu" and diagnosis.dtype == "float32":
        return [Advice(f"{text}: try --config.model.dtype=bfloat16")]
    return [Advice(f"{text}: the input is no matter of concern" if batches else text)]


def _about_first_epoch(diagnosis: Diagnosis) -> list[Advice]:
    cold, step, data = diagnosis.rate("reading_cold"), diagnosis.step_rate, diagnosis.data
    if cold is None or data is None or cold >= step:
        return []
    fits = data.image_bytes < diagnosis.memory.host_total
    when = "the first epoch, until they are in memory" if fits else "every epoch"
    return [
        Advice(
            f"disk: {cold:,.0f} images/s from a cold cache, the step wants {step:,.0f}: the disk "
            f"decides in {when}; a faster one would help"
        )
    ]


def _about_loop(diagnosis: Diagnosis, pole: str, loop: float, slowest: float) -> Advice:
    what = f"the whole loop runs at {loop:,.0f} images/s, its bottleneck at {slowest:,.0f}"
    if diagnosis.machine.platform == "cpu":
        return Advice(f"{what}: batches and steps share the {diagnosis.machine.cores} cores")
    return Advice(f"{what}: reading, transfer and the step do not overlap as they should")
