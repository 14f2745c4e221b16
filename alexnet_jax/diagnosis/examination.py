"""All measurements of a machine with a config and its data, one after the other."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from alexnet_jax.cores import usable_cores
from alexnet_jax.data.pixels import DecodedRecords
from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis import reading, stepping
from alexnet_jax.diagnosis.diagnosis import Data, Diagnosis, Machine
from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.diagnosis.memory import check_step_fits, device_bytes, read_memory
from alexnet_jax.diagnosis.timing import Budget, Outcome, Skipped, Speed
from alexnet_jax.models.table import describe_layers
from alexnet_jax.parallel.feed import feed
from alexnet_jax.training.rehearsal import Material, Rehearsal

_INPUT_STAGES = ("reading_cold", "reading_warm", "decoding", "batches")
# A step that would take longer than this part of the time, if it used so little of the ceiling, is
# tried on fewer images.
_STEP_PART, _POOR_UTILISATION = 0.25, 0.2


def diagnose(
    rehearsal: Rehearsal,
    material: Material | str,
    seconds: float,
    tell: Callable[[str], None] = lambda doing: None,
) -> Diagnosis:
    """Measure every stage.

    Args:
        rehearsal: the step.
        material: the data, or why there are none.
        seconds: how long all may take; slow stages get fewer repetitions, or are left out.
        tell: is told what is being measured.
    """
    budget, learner = Budget(seconds), rehearsal.learner
    rows = describe_layers(learner.network.model, rehearsal.crop_size)
    flops = training_flops(rows)
    found = material if isinstance(material, Material) else None
    tell("reading")
    stages = input_stages(rehearsal, found, budget)
    tell("matrix products")
    precision = learner.network.model.precision
    ceiling = matrix_product_ceiling(learner.mesh, rehearsal.dtype, precision, budget.share(0.06))
    size = affordable_batch_size(rehearsal, flops, ceiling, budget)
    classes = learner.network.model.num_classes
    batch = stepping.random_batch(size, rehearsal.image_size, classes)
    stages["transfer"] = stepping.transfer_speed(learner, batch, budget.share(0.02))
    stages["augmentation"] = stepping.augmentation_speed(learner, batch, budget.share(0.03))
    tell("compiling the step")
    step = stepping.compile_step(learner, batch)
    check_step_fits(step.bytes_per_device, device_bytes(), size)
    tell("the step")
    stages["step"] = stepping.step_speed(learner, step, batch, budget.share(0.12))
    tell("the whole loop")
    stages["loop"], wait_fraction = _loop(rehearsal, step, stages["step"], found, budget)
    return Diagnosis(
        machine=_describe_machine(learner.mesh),
        network=rehearsal.name,
        dtype=rehearsal.dtype,
        batch_size=rehearsal.batch_size,
        image_size=rehearsal.image_size,
        rows=rows,
        data=_describe_data(found) if found else None,
        missing="" if isinstance(material, Material) else material,
        stages=stages,
        wait_fraction=wait_fraction,
        compile_seconds=step.compile_seconds,
        flops_per_image=flops,
        ceiling=ceiling,
        memory=read_memory(step.bytes_per_device, Path(found.data_dir) if found else None),
        seconds=budget.spent(),
    )


def input_stages(
    rehearsal: Rehearsal, material: Material | None, budget: Budget
) -> dict[str, Outcome]:
    """Measure all that happens before a batch is sent."""
    if material is None:
        return dict.fromkeys(_INPUT_STAGES, Skipped("no data"))
    size, threads, examples = rehearsal.batch_size, material.threads, len(material.batches.pixels)
    if isinstance(material.opened, DecodedRecords):
        read = reading.record_reader(material.opened.records)
        decoding: Outcome = reading.decoding_speed(
            material.opened, size, threads, budget.share(0.05)
        )
    else:
        read = reading.store_reader(material.opened)
        decoding = Skipped("the store holds pixels")
    cold, warm = reading.reading_speeds(
        read, material.files, examples, size, threads, budget.share(0.03)
    )
    batches: Iterator[Any] = read_ahead(material.batches, 0, threads)
    if material.source == "device":
        batches = feed(material.batches, 0, threads, rehearsal.learner.mesh)
    made = reading.batches_speed(batches, size, budget.share(0.06))
    return dict(zip(_INPUT_STAGES, (cold, warm, decoding, made), strict=True))


def affordable_batch_size(rehearsal: Rehearsal, flops: int, ceiling: float, budget: Budget) -> int:
    """Halve the batch until a step, even a poor one, takes a fair part of the time."""
    size = rehearsal.batch_size
    allowed = budget.share(_STEP_PART) * _POOR_UTILISATION * ceiling
    while size * flops > allowed and size % (2 * rehearsal.batch_unit) == 0:
        size //= 2
    return size


def _loop(
    rehearsal: Rehearsal,
    step: stepping.CompiledStep,
    stepped: Outcome,
    material: Material | None,
    budget: Budget,
) -> tuple[Outcome, float | None]:
    """Measure the whole loop if there are data and time for it."""
    if material is None:
        return Skipped("no data"), None
    if step.batch_size != rehearsal.batch_size:
        return Skipped(f"the step was tried on {step.batch_size} images only"), None
    assert isinstance(stepped, Speed)
    settling = budget.share(0.02)
    needed = stepping.FEWEST_STEPS * stepped.seconds + settling
    if needed > budget.left():
        return Skipped(f"needs {needed:.1f} s, {max(0.0, budget.left()):.1f} s were left"), None
    return stepping.loop_speed(
        rehearsal.learner,
        step,
        material.batches,
        material.threads,
        settling,
        budget.share(0.12),
    )


def _describe_machine(mesh: Mesh) -> Machine:
    device = mesh.devices.flat[0]
    return Machine(
        cores=usable_cores(),
        processor=_processor(),
        platform=device.platform,
        device=device.device_kind,
        devices=mesh.size,
        jax=jax.__version__,
    )


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    if about.is_file():
        for line in about.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _describe_data(material: Material) -> Data:
    return Data(
        name=material.name,
        data_dir=material.data_dir,
        source=material.source,
        threads=material.threads,
        image_bytes=sum(file.stat().st_size for file in material.files),
        examples=len(material.batches.pixels),
        validation_examples=material.validation_examples,
        run_steps=len(material.batches),
    )
