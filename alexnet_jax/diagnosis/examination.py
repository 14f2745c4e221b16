"""All measurements of a machine with a config and its data, one after the other."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from alexnet_jax.cores import usable_cores
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.stream import read_ahead
from alexnet_jax.diagnosis import reading, stepping
from alexnet_jax.diagnosis.diagnosis import Data, Diagnosis, Machine
from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.diagnosis.memory import check_step_fits, device_bytes, read_memory
from alexnet_jax.diagnosis.timing import Budget, Outcome, Skipped, Speed
from alexnet_jax.models.table import describe_layers
from alexnet_jax.parallel.device_cache import DeviceCache
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.training.experiment import Experiment, Run
from alexnet_jax.training.recipe import make_spec

_INPUT_STAGES = ("reading_cold", "reading_warm", "decoding", "batches")
# A step that would take longer than this part of the time, if it used so little of the ceiling, is
# tried on fewer images.
_STEP_PART, _POOR_UTILISATION = 0.25, 0.2


def diagnose(
    experiment: Experiment,
    run: Run | None,
    missing: str,
    seconds: float,
    tell: Callable[[str], None] = lambda doing: None,
) -> Diagnosis:
    """Measure every stage.

    Args:
        experiment: what trains.
        run: the same with its data; None where they are missing.
        missing: what to do about missing data, or "".
        seconds: how long all may take; slow stages get fewer repetitions, or are left out.
        tell: receives what is being measured.
    """
    budget, config = Budget(seconds), experiment.config
    model, mesh = experiment.network.model, experiment.mesh
    rows = describe_layers(model, config.data.crop_size)
    flops = training_flops(rows)
    tell("reading")
    stages = input_stages(run, budget)
    tell("matrix products")
    ceiling = matrix_product_ceiling(mesh, config.model.dtype, model.precision, budget.share(0.06))
    size = affordable_batch_size(experiment, flops, ceiling, budget)
    batch = stepping.random_batch(size, config.data.image_size, model.num_classes)
    stages["transfer"] = stepping.transfer_speed(experiment, batch, budget.share(0.02))
    stages["augmentation"] = stepping.augmentation_speed(experiment, batch, budget.share(0.03))
    tell("compiling the step")
    step = stepping.compile_step(experiment, batch)
    check_step_fits(step.bytes_per_device, device_bytes(), size)
    tell("the step")
    stages["step"] = stepping.step_speed(experiment, step, batch, budget.share(0.12))
    tell("the whole loop")
    stages["loop"], wait_fraction = _loop(run, step, stages["step"], budget)
    return Diagnosis(
        machine=_describe_machine(mesh),
        network=name_network(config),
        dtype=config.model.dtype,
        batch_size=config.train.batch_size,
        image_size=config.data.image_size,
        rows=rows,
        data=_describe_data(run) if run else None,
        missing=missing,
        stages=stages,
        wait_fraction=wait_fraction,
        compile_seconds=step.compile_seconds,
        flops_per_image=flops,
        ceiling=ceiling,
        memory=read_memory(step.bytes_per_device, Path(config.data.dir) if run else None),
        seconds=budget.spent(),
    )


def name_network(config: ConfigDict) -> str:
    """Return the network's name, with its modifications, and its crops if they are not its own."""
    name, crop_size = config.model.name, config.data.crop_size
    if config.model.modifications:
        name += f" with {', '.join(config.model.modifications)}"
    if crop_size != make_spec(config).crop_size:
        name += f" on crops of {crop_size}"
    return name


def input_stages(run: Run | None, budget: Budget) -> dict[str, Outcome]:
    """Measure all that happens before a batch is sent."""
    if run is None:
        return dict.fromkeys(_INPUT_STAGES, Skipped("no data"))
    images, size, threads = _on_disk(run), run.training.batch_size, run.threads
    if isinstance(images, DecodedImages):
        read = reading.record_reader(images.records)
        decoding: Outcome = reading.decoding_speed(images, size, threads, budget.share(0.05))
    else:
        read = reading.store_reader(images)
        decoding = Skipped("the store holds pixels")
    cold, warm = reading.reading_speeds(
        read, images.files, len(images), size, threads, budget.share(0.03)
    )
    batches: Iterator[Any] = read_ahead(run.training, 0, threads)
    if isinstance(run.training.pixels, DeviceCache):
        batches = prefetch_to_device(run.training, 0, threads, run.experiment.mesh)
    made = reading.batches_speed(batches, size, budget.share(0.06))
    return dict(zip(_INPUT_STAGES, (cold, warm, decoding, made), strict=True))


def affordable_batch_size(
    experiment: Experiment, flops: int, ceiling: float, budget: Budget
) -> int:
    """Halve the batch until a step, even a poor one, takes a fair part of the time."""
    size = experiment.config.train.batch_size
    unit = experiment.mesh.size * experiment.num_microbatches
    allowed = budget.share(_STEP_PART) * _POOR_UTILISATION * ceiling
    while size * flops > allowed and size % (2 * unit) == 0:
        size //= 2
    return size


def _loop(
    run: Run | None, step: stepping.CompiledStep, trained: Outcome, budget: Budget
) -> tuple[Outcome, float | None]:
    """Measure the whole loop if there are data and time for it."""
    if run is None:
        return Skipped("no data"), None
    if step.batch_size != run.training.batch_size:
        return Skipped(f"the step was tried on {step.batch_size} images only"), None
    assert isinstance(trained, Speed)
    settling = budget.share(0.02)
    needed = stepping.FEWEST_STEPS * trained.seconds + settling
    if needed > budget.left():
        return Skipped(f"needs {needed:.1f} s, {max(0.0, budget.left()):.1f} s were left"), None
    return stepping.loop_speed(
        run.experiment, step, run.training, run.threads, settling, budget.share(0.12)
    )


def _on_disk(run: Run) -> DecodedImages | PixelStore:
    """Return the training images as they are on disk."""
    images = run.training.pixels
    if isinstance(images, DeviceCache):
        images = images.source
    assert isinstance(images, DecodedImages | PixelStore)
    return images


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


def _describe_data(run: Run) -> Data:
    images, data = _on_disk(run), run.experiment.config.data
    return Data(
        name=data.name,
        data_dir=data.dir,
        source=data.source,
        threads=run.threads,
        image_bytes=sum(file.stat().st_size for file in images.files),
        examples=len(images),
        validation_examples=run.validation.count,
        run_steps=len(run.training),
    )
