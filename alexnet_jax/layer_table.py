"""A network layer by layer, as figure 2 of the paper shows it: shapes, parameters, products."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from alexnet_jax.models.alexnet import AlexNet


@dataclass(frozen=True)
class Row:
    """One layer with parameters."""

    name: str  # conv1, conv1_norm (its batch normalization), fc6, ...
    input: tuple[int, ...]  # Shape for one image; fc6 flattens it.
    output: tuple[int, ...]  # Shape for one image, before the operations that follow.
    parameters: int
    multiply_adds: int  # Of a forward pass for one image, biases not counted.


def describe_layers(model: AlexNet, crop_size: int) -> list[Row]:
    """Return a row for each layer, from the first; nothing is computed."""
    images = jnp.zeros((1, crop_size, crop_size, 3))
    shapes: dict[str | None, tuple] = {}

    def watch(
        call: Callable, arguments: tuple, keywords: dict, context: nn.module.InterceptorContext
    ) -> Any:
        output = call(*arguments, **keywords)
        if context.method_name == "__call__":
            shapes[context.module.name] = (arguments[0].shape[1:], output.shape[1:])
        return output

    with nn.intercept_methods(watch):
        variables = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    rows = []
    for name, parameters in variables["params"].items():
        taken, output = shapes[name]
        pixels = output[0] * output[1] if len(output) == 3 else 1
        count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
        products = pixels * parameters["kernel"].size if "kernel" in parameters else 0
        rows.append(Row(name, taken, output, count, products))
    return rows


def count_parameters(rows: list[Row]) -> int:
    """Return how many parameters a network has."""
    return sum(row.parameters for row in rows)


def compare_crop(name: str, model: AlexNet, crop_size: int) -> str:
    """Return a note where crops of this size change the number of parameters, else ""."""
    if crop_size == model.spec.crop_size:
        return ""
    table, ours = (describe_layers(model, size) for size in (model.spec.crop_size, crop_size))
    if count_parameters(ours) == count_parameters(table):
        return ""
    return (
        f"crops of {crop_size} pixels make {name} another network than its table: "
        f"{count_parameters(ours):,} parameters, not {count_parameters(table):,}; leave "
        f"config.data.crop_size unset for its own crops of {model.spec.crop_size}"
    )


def format_chain(rows: list[Row]) -> str:
    """Return the sizes from the pixels to the logits: "227x227x3 → 55x55x96 → ... → 1000"."""
    layers = [row for row in rows if row.multiply_adds]  # Not the batch normalizations.
    sizes = [layers[0].input]
    for row in layers:
        if len(row.input) == 3 and len(row.output) == 1 and row.input != sizes[-1]:
            sizes.append(row.input)  # The pooled maps, which this layer flattens.
        sizes.append(row.output)
    return " → ".join("x".join(map(str, size)) for size in sizes)


def format_layers(rows: list[Row]) -> str:
    """Return the rows as a text table, the chain of sizes above, their totals below."""
    header = f"{'layer':<10} {'output':>15} {'parameters':>12} {'multiply-adds':>15}"
    lines = [format_chain(rows), "", header]
    for row in rows:
        output = " x ".join(str(side) for side in row.output)
        lines.append(f"{row.name:<10} {output:>15} {row.parameters:>12,} {row.multiply_adds:>15,}")
    multiply_adds = sum(row.multiply_adds for row in rows)
    lines.append(f"{'total':<10} {'':>15} {count_parameters(rows):>12,} {multiply_adds:>15,}")
    return "\n".join(lines)
