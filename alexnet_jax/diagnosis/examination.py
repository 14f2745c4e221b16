"""All measurements of a machine with a config and its data, one after the other."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from alexnet_jax.cores import usable_cores
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis import reading, stepping
from alexnet_jax.diagnosis.diagnosis import Data, Diagnosis, Machine
from alexnet_jax.diagnosis.dry_run import DryRun, RunData
from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.diagnosis.memory import check_step_fits, device_bytes, read_memory
from alexnet_jax.diagnosis.timing import Budget, Outcome, Skipped, Speed
from alexnet_jax.models.table import describe_layers
from alexnet_jax.parallel.prefetch import prefetch_to_device

_INPUT_STAGES = ("reading_cold", "reading_warm", "decoding", "batches")
# A step that would take longer than this part of the time, if it used so little of the ceiling, is
# tried on fewer images.
_STEP_PART, _POOR_UTILISATION = 0.25, 0.2


def diagnose(
    dry_run: DryRun,
    run_data: RunData | str,
    seconds: float,
    tell: Callable[[str], None] = lambda doing: None,
) -> Diagnosis:
    """Measure every stage.

    Args:
        dry_run: the step.
        run_data: the data, or why there are none.
        seconds: how long all may take; slow stages get fewer repetitions, or are left out.
        tell: is told what is being measured.
    """
    budget, learner = Budget(seconds), dry_run.learner
    rows = describe_layers(learner.network.model, dry_run.crop_size)
    flops = training_flops(rows)
    found = run_data if isinstance(run_data, RunData) else None
    tell("reading")
    stages = input_stages(dry_run, found, budget)
    tell("matrix products")
    precision = learner.network.model.precision
    ceiling = matrix_product_ceiling(learner.mesh, dry_run.dtype, precision, budget.share(0.06))
    size = affordable_batch_size(dry_run, flops, ceiling, budget)
    classes = learner.network.model.num_classes
    batch = stepping.random_batch(size, dry_run.image_size, classes)
    stages["transfer"] = stepping.transfer_speed(learner, batch, budget.share(0.02))
    stages["augmentation"] = stepping.augmentation_speed(learner, batch, budget.share(0.03))
    tell("compiling the step")
    step = stepping.compile_step(learner, batch)
    check_step_fits(step.bytes_per_device, device_bytes(), size)
    tell("the step")
    stages["step"] = stepping.step_speed(learner, step, batch, budget.share(0.12))
    tell("the whole loop")
    stages["loop"], wait_fraction = _loop(dry_run, step, stages["step"], found, budget)
    return Diagnosis(
        machine=_describe_machine(learner.mesh),
        network=dry_run.name,
        dtype=dry_run.dtype,
        batch_size=dry_run.batch_size,
        image_size=dry_run.image_size,
        rows=rows,
        data=_describe_data(found) if found else None,
        missing="" if isinstance(run_data, RunData) else run_data,
        stages=stages,
        wait_fraction=wait_fraction,
        compile_seconds=step.compile_seconds,
        flops_per_image=flops,
        ceiling=ceiling,
        memory=read_memory(step.bytes_per_device, Path(found.data_dir) if found else None),
        seconds=budget.spent(),
    )


def input_stages(dry_run: DryRun, run_data: RunData | None, budget: Budget) -> dict[str, Outcome]:
    """Measure all that happens before a batch is sent."""
    if run_data is None:
        return dict.fromkeys(_INPUT_STAGES, Skipped("no data"))
    size, threads, examples = dry_run.batch_size, run_data.threads, len(run_data.batches.pixels)
    if isinstance(run_data.opened, DecodedImages):
        read = reading.record_reader(run_data.opened.records)
        decoding: Outcome = reading.decoding_speed(
            run_data.opened, size, threads, budget.share(0.05)
        )
    else:
        read = reading.store_reader(run_data.opened)
        decoding = Skipped("the store holds pixels")
    cold, warm = reading.reading_speeds(
        read, run_data.files, examples, size, threads, budget.share(0.03)
    )
    batches: Iterator[Any] = read_ahead(run_data.batches, 0, threads)
    if run_data.source == "device":
        batches = prefetch_to_device(run_data.batches, 0, threads, dry_run.learner.mesh)
    made = reading.batches_speed(batches, size, budget.share(0.06))
    return dict(zip(_INPUT_STAGES, (cold, warm, decoding, made), strict=True))


def affordable_batch_size(dry_run: DryRun, flops: int, ceiling: float, budget: Budget) -> int:
    """Halve the batch until a step, even a poor one, takes a fair part of the time."""
    size = dry_run.batch_size
    allowed = budget.share(_STEP_PART) * _POOR_UTILISATION * ceiling
    while size * flops > allowed and size % (2 * dry_run.batch_unit) == 0:
        size //= 2
    return size


def _loop(
    dry_run: DryRun,
    step: stepping.CompiledStep,
    stepped: Outcome,
    run_data: RunData | None,
    budget: Budget,
) -> tuple[Outcome, float | None]:
    """Measure the whole loop if there are data and time for it."""
    if run_data is None:
        return Skipped("no data"), None
    if step.batch_size != dry_run.batch_size:
        return Skipped(f"the step was tried on {step.batch_size} images only"), None
    assert isinstance(stepped, Speed)
    settling = budget.share(0.02)
    needed = stepping.FEWEST_STEPS * stepped.seconds + settling
    if needed > budget.left():
        return Skipped(f"needs {needed:.1f} s, {max(0.0, budget.left()):.1f} s were left"), None
    return stepping.loop_speed(
        dry_run.learner,
        step,
        run_data.batches,
        run_data.threads,
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


def _describe_data(run_data: RunData) -> Data:
    return Data(
        name=run_data.name,
        data_dir=run_data.data_dir,
        source=run_data.source,
        threads=run_data.threads,
        image_bytes=sum(file.stat().st_size for file in run_data.files),
        examples=len(run_data.batches.pixels),
        validation_examples=run_data.validation_examples,
        run_steps=len(run_data.batches),
    )
