"""Cost of a config's training step by layer, as a chip's compiler estimates it without the chip.

On TPUs these are the compiler's own estimates of cycles. On GPUs the kernels of the program and the
bytes that each reads and writes: no time follows from them.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from alexnet_jax.diagnosis.chips import Chip, describe_devices
from alexnet_jax.diagnosis.flops import training_flops
from alexnet_jax.diagnosis.memory import program_bytes, smaller_batches
from alexnet_jax.diagnosis.program_text import array_bytes, executed_lines, off_chip
from alexnet_jax.errors import UserError
from alexnet_jax.layer_table import Row, describe_layers
from alexnet_jax.parallel.mesh import check_batch_divides
from alexnet_jax.training.experiment import Experiment, build_without_data
from alexnet_jax.training.from_config import resolve_config

_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_ORIGIN = re.compile(r'op_name="([^"]*)"')
_LAYER = re.compile(r"\b((?:conv|fc)\d+(?:_[a-z_]+?)?)(?=[/()]|$)")
# What belongs to no layer, by its origin; the first that is found counts.
_OUTSIDE = {
    "dropout": re.compile(r"_drop\b|_activate\b"),  # And the activations below it.
    "random numbers": re.compile(r"threefry|randint|bernoulli|normal\)|dot_general$"),
    "images": re.compile(r"jvp\(AlexNet\)/convert_element_type$"),
    "loss": re.compile(r"jvp\((?!AlexNet)"),
}
_PARAMETER = re.compile(r"%state_params__([a-z]+\d+)__")  # XLA names them after the function's.
_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\(([^)]*)")
_NO_KERNEL = ("parameter", "get-tuple-element", "tuple", "bitcast", "constant")
# Copies that a TPU makes beside its computations, and the joining of their parts.
_BESIDE = re.compile(r".*-(start|done)|custom-call")
_LARGE = 2**20  # Bytes of the result of an operation that is listed without an estimate.


class Operation(NamedTuple):
    """A fusion or kernel of a compiled program; its cycles and bytes are those of all times."""

    # "conv1", "conv1_lrn", "fc6", also of the backward passes; outside the network what it is for:
    # "update", "copies", "dropout", "random numbers", "images", "loss" or "other".
    layer: str
    times: int  # That a step runs it; more than once in a loop.
    # The compiler's estimate; 0 on GPUs, and where a TPU's compiler has none.
    cycles: int
    bytes: int  # Read and written; on TPUs without what is kept on the chip.
    text: str  # Kind, shape and origin.


@dataclass(frozen=True)
class StepCost:
    """The cost of a training step on each of some chips."""

    chips: int  # Their number.
    batch_size: int  # Images in a step, on all chips.
    operations: tuple[Operation, ...]  # Of the program, which all chips run.
    bytes: int  # Moved in a step; the sum of TPUs' compiler includes what is kept on the chip.
    temporary_bytes: int  # Of memory besides the state and the batch.
    total_bytes: int  # Of memory in all.
    flops: int  # Operations in a chip's products.
    least_bytes: int  # That a chip must move, see `_least_bytes`.

    @property
    def cycles(self) -> int:
        """The compiler's estimate for the step; 0 on GPUs."""
        return sum(operation.cycles for operation in self.operations)

    @property
    def kernels(self) -> int:
        """Operations that a step runs."""
        return sum(operation.times for operation in self.operations)

    def by_layer(self) -> dict[str, tuple[int, int, int]]:
        """Return operations, cycles and bytes of each layer, the network's first."""
        sums: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for layer, times, cycles, moved, _ in self.operations:
            count, all_cycles, all_bytes = sums[layer]
            sums[layer] = count + times, all_cycles + cycles, all_bytes + moved
        return dict(sorted(sums.items(), key=lambda item: (not _LAYER.match(item[0]), item[0])))


def compile_for(config: ConfigDict, chip: Chip, topology: str = "") -> StepCost:
    """Compile a config's training step, its batch divided over chips that need not exist.

    An empty `topology` is the smallest.

    Raises:
        UserError: the compiler is not installed, or the step does not fit into the chip's memory.
    """
    config = resolve_config(config)
    # A run may expect other numbers of processes and devices.
    config.parallel.update(processes=None, devices=None)
    devices = describe_devices(chip, topology or chip.topology)
    check_batch_divides(config.train.batch_size, len(devices), "config.train.batch_size")
    experiment = build_without_data(config, devices)
    return read_cost(compile_step(experiment), experiment, chip)


def compile_step(experiment: Experiment) -> jax.stages.Compiled:
    """Compile the training step for the devices; UserError where they have too little memory."""
    config = experiment.config
    lowered = experiment.lower_step()
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        images = config.train.batch_size // experiment.mesh.size
        raise UserError(
            f"a step of {images} images a chip does not fit into its memory: "
            f"{_first_sentence(error)}; {smaller_batches(config.train.batch_size)}"
        ) from error


def _first_sentence(error: Exception) -> str:
    return str(error).removeprefix("RESOURCE_EXHAUSTED: ").partition(". ")[0].splitlines()[0]


def read_cost(compiled: jax.stages.Compiled, experiment: Experiment, chip: Chip) -> StepCost:
    """Read what a program of `compile_step` costs."""
    config, network, count = experiment.config, experiment.network, experiment.mesh.size
    text, memory = compiled.as_text(), compiled.memory_analysis()
    assert text is not None and memory is not None, "XLA's compilers give both"
    operations = read_cycles(text) if chip.platform == "tpu" else read_kernels(text)
    moved = int((compiled.cost_analysis() or {}).get("bytes accessed", 0))  # Not on GPUs.
    if moved:  # With a loop's first turn only.
        moved += sum(each.bytes * (each.times - 1) // each.times for each in operations)
    rows = describe_layers(network.model, config.data.crop_size)
    images = config.train.batch_size // count
    return StepCost(
        chips=count,
        batch_size=config.train.batch_size,
        operations=tuple(operations),
        bytes=moved or sum(each.bytes for each in operations),
        temporary_bytes=memory.temp_size_in_bytes,
        total_bytes=program_bytes(compiled),
        flops=training_flops(rows) * images,
        least_bytes=_least_bytes(rows, images, jnp.dtype(network.model.dtype).itemsize),
    )


def _least_bytes(rows: list[Row], images: int, item_bytes: int) -> int:
    """Return what must be moved whatever the program.

    Each layer's sums are written once and read once forward, read once backward, and so are their
    gradients; parameters and momentum, float32, are read and written. What follows a layer
    (activation, normalization, pooling) could be computed as the sums are read.
    """
    maps = sum(math.prod(row.output) for row in rows)
    parameters = sum(row.parameters for row in rows)
    return 5 * images * maps * item_bytes + 4 * 4 * parameters


def read_cycles(text: str) -> list[Operation]:
    """Return the operations of a TPU's program, the most expensive first.

    Last come large ones of which the compiler gives no estimate, by bytes.
    """
    found = []
    for line, times, kind, shape, moved in _instructions(text, off_chip):
        if cycles := _CYCLES.search(line):
            found.append(_operation(line, kind, shape, times, times * int(cycles[1]), moved))
        elif array_bytes(shape) >= _LARGE and not _BESIDE.fullmatch(kind):
            found.append(_operation(line, kind, shape, times, 0, moved))
    return sorted(found, key=lambda each: (-each.cycles, -each.bytes))


def read_kernels(text: str) -> list[Operation]:
    """Return the kernels of a GPU's program, those that move most first."""
    found = [
        _operation(line, kind, shape, times, 0, moved)
        for line, times, kind, shape, moved in _instructions(text, str)
    ]
    return sorted(found, key=lambda each: -each.bytes)


def _instructions(
    text: str, in_memory: Callable[[str], str]
) -> Iterator[tuple[str, int, str, str, int]]:
    """Yield line, times, kind and shape of what computes, and the bytes that it moves in all.

    Of its operands and its result, `in_memory` returns those that count.
    """
    shapes: dict[str, str] = {}
    for line, times in executed_lines(text):
        if not (match := _INSTRUCTION.match(line)):
            continue
        name, shape, kind, arguments = match.groups()
        shapes[name] = shape
        if kind not in _NO_KERNEL:
            # An argument may follow its shape or a comment.
            names = [argument.split("%")[-1].strip() for argument in arguments.split(",")]
            arrays = [shape, *(shapes.get(each, "") for each in names)]
            moved = sum(array_bytes(in_memory(each)) for each in arrays)
            yield line, times, kind, shape, times * moved


def _operation(line: str, kind: str, shape: str, times: int, cycles: int, moved: int) -> Operation:
    origin = found[1] if (found := _ORIGIN.search(line)) else ""
    text = f"{times} x " * (times > 1) + f"{kind} {shape}"[:60] + f" {origin}"
    return Operation(_layer(line, kind, origin), times, cycles, moved, text)


def _layer(line: str, kind: str, origin: str) -> str:
    """Return the layer of an operation, or what it is for."""
    if layers := _LAYER.findall(origin):
        return layers[-1]
    if kind.startswith("copy"):
        return "copies"
    if "%state_opt_state" in line:
        return "update"
    if parameter := _PARAMETER.search(line):
        return parameter[1]
    return next((name for name, words in _OUTSIDE.items() if words.search(origin)), "other")
