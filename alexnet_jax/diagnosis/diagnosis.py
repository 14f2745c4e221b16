"""What was found out about a machine, a config and its data."""

from dataclasses import dataclass

from alexnet_jax.diagnosis.memory import Memory
from alexnet_jax.diagnosis.timing import Outcome, Speed
from alexnet_jax.models.table import Row


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
    """What was read, where there is anything.

    Attributes:
        name: of the data set.
        data_dir: where it lies.
        source: "records", "store" or "device".
        threads: how many prepare batches.
        image_bytes: of the training split's files.
        examples: of the training split.
        validation_examples: of the other.
        run_steps: length of the run.
    """

    name: str
    data_dir: str
    source: str
    threads: int
    image_bytes: int
    examples: int
    validation_examples: int
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
        """Return the size of both splits as pixels, in a store or on a device."""
        if self.data is None:
            return None
        images = self.data.examples + self.data.validation_examples
        return images * self.image_size**2 * 3
