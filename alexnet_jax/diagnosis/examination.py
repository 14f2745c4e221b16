"""All measurements of a machine with a config and its data, one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.stream import read_ahead
from alexnet_jax.device_store.device_cache import DeviceCache
from alexnet_jax.diagnosis import reading, stepping
from alexnet_jax.diagnosis.advice import add_conclusions
from alexnet_jax.diagnosis.elsewhere import measured_elsewhere
from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.diagnosis.memory import check_step_fits, device_memory, read_memory
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed
from alexnet_jax.layer_table import Row, count_parameters, describe_layers
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.runs.run import Run
from alexnet_jax.runs.summary import name_network
from alexnet_jax.system.cores import processor_name, usable_cores, vector_units
from alexnet_jax.training.experiment import Experiment

_INPUT_STAGES = ("reading_cold", "reading_warm", "decoding", "batches")
# The batch is halved while a step at this utilization would take more than this part of the time.
_STEP_PART, _POOR_UTILISATION = 0.25, 0.2
_IMAGENET_IMAGES = 1_281_167  # For training; ILSVRC-2012, IJCV 2015, table 2.


def diagnose(
    experiment: Experiment,
    run: Run | None,
    missing: str,
    seconds: float,
    show: Callable[[str], None] = lambda doing: None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure every stage, and say what follows: the JSON object of docs/doctor.md.

    Args:
        experiment: Experiment to measure.
        run: The experiment with its data; None if the data are missing.
        missing: How to get missing data, or "".
        seconds: Time limit; slow stages get fewer repetitions or are skipped.
        show: Function that receives the name of each measurement, for display.
        arguments: Flags that gave the config, for the commands in the advice.
    """
    start, config = time.perf_counter(), experiment.config
    model, mesh = experiment.network.model, experiment.mesh
    rows = describe_layers(model, config.data.crop_size)
    flops = training_flops(rows)
    show("reading")
    stages = input_stages(run, seconds)
    show("matrix products")
    ceiling = matrix_product_ceiling(mesh, config.model.dtype, model.precision, 0.06 * seconds)
    size = affordable_batch_size(experiment, flops, ceiling, seconds)
    batch = stepping.random_batch(size, config.data.image_size, model.num_classes)
    stages["transfer"] = stepping.transfer_speed(experiment, batch, 0.02 * seconds)
    stages["augmentation"] = stepping.augmentation_speed(experiment, batch, 0.03 * seconds)
    show("compiling the step")
    step = stepping.compile_step(experiment, batch)
    check_step_fits(step.bytes_per_device, device_memory().get("bytes_limit"), size)
    show("the step")
    stages["step"] = trained = stepping.step_speed(experiment, step, batch, 0.12 * seconds)
    show("the whole loop")
    left = seconds - (time.perf_counter() - start)
    stages["loop"], wait_fraction = _measure_loop(run, step, trained, seconds, left)
    return add_conclusions(
        {
            "machine": _describe_machine(mesh),
            "network": _describe_network(experiment, rows),
            "arguments": list(arguments),
            "data": _describe_data(run) if run else None,
            "run": _describe_run(experiment, run),
            "elsewhere": _find_elsewhere(experiment),
            "missing": missing or None,
            "stages": {name: asdict(outcome) for name, outcome in stages.items()},
            "data_wait_fraction": wait_fraction,
            "compile_seconds": step.compile_seconds,
            "flops": {"training_per_image": flops, "ceiling_per_second": ceiling},
            "memory": read_memory(step.bytes_per_device, Path(config.data.dir) if run else None),
            "seconds": time.perf_counter() - start,
        }
    )


def input_stages(run: Run | None, seconds: float) -> dict[str, Outcome]:
    """Measure the stages before transfer, within a fifth of `seconds`."""
    if run is None:
        return dict.fromkeys(_INPUT_STAGES, Skipped("no data"))
    images, size, threads = _on_disk(run), run.training.batch_size, run.threads
    if isinstance(images, DecodedImages):
        read = reading.record_reader(images.records)
        decoding: Outcome = reading.decoding_speed(images, size, threads, 0.05 * seconds)
    else:
        read = reading.store_reader(images)
        decoding = Skipped("the store holds pixels")
    cold, warm = reading.reading_speeds(
        read, images.files, len(images), size, threads, 0.03 * seconds
    )
    batches: Iterator[Any] = read_ahead(run.training, 0, threads)
    if isinstance(run.training.pixels, DeviceCache):
        batches = prefetch_to_device(run.training, 0, threads, run.experiment.mesh)
    made = reading.batches_speed(batches, size, 0.06 * seconds)
    return dict(zip(_INPUT_STAGES, (cold, warm, decoding, made), strict=True))


def affordable_batch_size(
    experiment: Experiment, flops: int, ceiling: float, seconds: float
) -> int:
    """Halve the batch until a step, even at poor utilization, takes a fair part of the time."""
    size = experiment.config.train.batch_size
    unit = experiment.mesh.size * experiment.num_microbatches
    allowed = _STEP_PART * seconds * _POOR_UTILISATION * ceiling
    while size * flops > allowed and size % (2 * unit) == 0:
        size //= 2
    return size


def _measure_loop(
    run: Run | None, step: stepping.CompiledStep, trained: Speed, seconds: float, left: float
) -> tuple[Outcome, float | None]:
    """Measure the whole loop if there are data and time for it."""
    if run is None:
        return Skipped("no data"), None
    if step.batch_size != run.training.batch_size:
        return Skipped(f"the step was tried on {step.batch_size} images only"), None
    settling = 0.02 * seconds
    needed = stepping.FEWEST_STEPS * trained.seconds + settling
    if needed > left:
        return Skipped(f"needs {needed:.1f} s, {max(0.0, left):.1f} s were left"), None
    return stepping.loop_speed(
        run.experiment, step, run.training, run.threads, settling, 0.12 * seconds
    )


def _on_disk(run: Run) -> DecodedImages | PixelStore:
    """Return the training images as they are on disk."""
    images = run.training.pixels
    if isinstance(images, DeviceCache):
        images = images.source
    assert isinstance(images, DecodedImages | PixelStore)
    return images


def _describe_machine(mesh: Mesh) -> dict[str, Any]:
    device = mesh.devices.flat[0]
    return {
        "cores": usable_cores(),
        "processor": processor_name(),
        "amx": vector_units() == "amx",
        "platform": device.platform,
        "device": device.device_kind,
        "devices": mesh.size,
        "jax": jax.__version__,
    }


def _describe_network(experiment: Experiment, rows: list[Row]) -> dict[str, Any]:
    config = experiment.config
    return {
        "name": name_network(config),
        "dtype": config.model.dtype,
        "batch_size": config.train.batch_size,
        "parameters": count_parameters(rows),
        "multiply_adds": sum(row.multiply_adds for row in rows),
        "layers": [asdict(row) for row in rows],
    }


def _describe_data(run: Run) -> dict[str, Any]:
    images, data = _on_disk(run), run.experiment.config.data
    return {
        "name": data.name,
        "data_dir": data.dir,
        "source": data.source,
        "threads": run.threads,
        "image_size": data.image_size,
        "image_bytes": sum(file.stat().st_size for file in images.files),
        "examples": len(images),
        "validation_examples": run.validation.count,
    }


def _find_elsewhere(experiment: Experiment) -> list[dict[str, Any]]:
    """Return what is known of the step on other devices; all was measured without microbatches."""
    config = experiment.config
    if experiment.num_microbatches > 1:
        return []
    model, batch_size = config.model, config.train.batch_size
    return measured_elsewhere(name_network(config), model.dtype, model.precision, batch_size)


def _describe_run(experiment: Experiment, run: Run | None) -> dict[str, Any]:
    """Return the length of the run; None where it depends on missing data."""
    train = experiment.config.train
    steps = len(run.training) if run else train.steps
    if steps is None and experiment.config.data.name == "imagenet2012":
        steps = round(train.epochs * _IMAGENET_IMAGES / train.batch_size)
    return {
        "epochs": train.epochs if train.steps is None else None,
        "steps": steps,
        "images": steps and steps * train.batch_size,
    }
