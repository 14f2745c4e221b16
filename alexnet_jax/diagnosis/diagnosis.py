"""All measurements of a machine with a config and its data, one after the other."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax

from alexnet_jax.diagnosis import reading, stepping
from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.diagnosis.memory import Memory, read_memory
from alexnet_jax.diagnosis.timing import Budget, Outcome, Skipped, Speed
from alexnet_jax.models.table import Row, describe_layers
from alexnet_jax.training.rehearsal import Material, Rehearsal

# A step that would take longer than this part of the time, if it used so little of the ceiling, is
# tried on fewer images.
_STEP_PART, _POOR_UTILISATION = 0.25, 0.2


@dataclass(frozen=True)
class Machine:
    """What was measured on."""

    cores: int
    processor: str
    platform: str
    device: str
    devices: int
    jax: str


@dataclass(frozen=True)
class Data:
    """What was read, where there is anything."""

    name: str
    data_dir: str
    source: str
    threads: int
    examples: int
    record_bytes: int
    run_steps: int


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was measured.

    Attributes:
        machine: where.
        network: name of the network.
        dtype: of its products.
        batch_size: the config's.
        image_size: side of the images that batches hold.
        rows: the network's layers.
        data: what was read; None where it is missing.
        missing: what to do about missing data, or "".
        stages: by name, in the order in which an image passes them.
        wait_fraction: of the whole loop; None where it did not run.
        compile_seconds: of the step.
        flops_per_image: of training.
        ceiling: operations a second of matrix products.
        memory: after all.
        seconds: how long all took.
    """

    machine: Machine
    network: str
    dtype: str
    batch_size: int
    image_size: int
    rows: list[Row]
    data: Data | None
    missing: str
    stages: dict[str, Outcome]
    wait_fraction: float | None
    compile_seconds: float
    flops_per_image: int
    ceiling: float
    memory: Memory
    seconds: float

    def rate(self, stage: str) -> float | None:
        """Return a stage's images a second; None where it was skipped."""
        outcome = self.stages[stage]
        return outcome.images_per_second if isinstance(outcome, Speed) else None

    @property
    def step_rate(self) -> float:
        """Return the step's images a second, which is always measured."""
        rate = self.rate("step")
        assert rate is not None
        return rate

    @property
    def utilisation(self) -> float:
        """Return the share of the ceiling that the step's products reach."""
        return self.flops_per_image * self.step_rate / self.ceiling

    @property
    def augmentation_fraction(self) -> float:
        """Return augmentation's time over the step's."""
        return self.step_rate / (self.rate("augmentation") or float("inf"))

    @property
    def store_bytes(self) -> int | None:
        """Return the size that the training split has or would have as pixels."""
        if self.data is None:
            return None
        return self.data.examples * self.image_size**2 * 3


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
    budget = Budget(seconds)
    rows = describe_layers(rehearsal.model, rehearsal.crop_size)
    flops = training_flops(rows)
    stages: dict[str, Outcome] = {}
    found = material if isinstance(material, Material) else None
    tell("reading")
    stages |= _host_stages(rehearsal, found, budget)
    tell("matrix products")
    ceiling = matrix_product_ceiling(rehearsal.mesh, rehearsal.dtype, budget.share(0.06))
    size = affordable_batch_size(rehearsal, flops, ceiling, budget)
    batch = stepping.random_batch(size, rehearsal.image_size, rehearsal.model.num_classes)
    stages["transfer"] = stepping.transfer_speed(rehearsal, batch, budget.share(0.02))
    stages["augmentation"] = stepping.augmentation_speed(rehearsal, batch, budget.share(0.03))
    tell("compiling the step")
    step = stepping.compile_step(rehearsal, batch)
    tell("the step")
    stages["step"] = stepping.step_speed(rehearsal, step, batch, budget.share(0.12))
    tell("the whole loop")
    stages["loop"], wait_fraction = _loop(rehearsal, step, stages["step"], found, budget)
    return Diagnosis(
        machine=_describe_machine(rehearsal),
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


def _host_stages(
    rehearsal: Rehearsal, material: Material | None, budget: Budget
) -> dict[str, Outcome]:
    """Measure what happens before the devices."""
    names = ("reading_cold", "reading_warm", "decoding", "batches")
    if material is None:
        return dict.fromkeys(names, Skipped("no data"))
    stages: dict[str, Outcome] = dict.fromkeys(names, Skipped(f"source is {material.source}"))
    threads, size = material.threads, rehearsal.batch_size
    if material.source == "records":
        stages["reading_cold"], stages["reading_warm"] = reading.reading_speeds(
            material.records, size, threads, budget.share(0.03)
        )
        stages["decoding"] = reading.decoding_speed(
            material.records, rehearsal.image_size, size, threads, budget.share(0.05)
        )
    if material.source != "device":
        stages["batches"] = reading.batches_speed(material.batches, threads, budget.share(0.06))
    return stages


def affordable_batch_size(rehearsal: Rehearsal, flops: int, ceiling: float, budget: Budget) -> int:
    """Halve the batch until a step, even a poor one, takes a fair part of the time."""
    size = rehearsal.batch_size
    allowed = budget.share(_STEP_PART) * _POOR_UTILISATION * ceiling
    while size * flops > allowed and size % (2 * rehearsal.mesh.size) == 0:
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
    if material.source == "device":
        return Skipped("source is device"), None
    if step.batch_size != rehearsal.batch_size:
        return Skipped(f"the step was tried on {step.batch_size} images only"), None
    assert isinstance(stepped, Speed)
    needed = stepping.FEWEST_STEPS * stepped.seconds
    if needed > budget.left():
        return Skipped(f"needs {needed:.1f} s, {max(0.0, budget.left()):.1f} s were left"), None
    return stepping.loop_speed(
        rehearsal, step, material.batches, material.threads, budget.share(0.12)
    )


def _describe_machine(rehearsal: Rehearsal) -> Machine:
    device = rehearsal.mesh.devices.flat[0]
    return Machine(
        cores=os.cpu_count() or 1,
        processor=_processor(),
        platform=device.platform,
        device=device.device_kind,
        devices=rehearsal.mesh.size,
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
        examples=len(material.records),
        record_bytes=sum(file.stat().st_size for file in reading.record_files(material.records)),
        run_steps=material.steps,
    )
