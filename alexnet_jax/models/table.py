"""A network layer by layer, as figure 2 of the paper shows it: shapes, parameters, products."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from alexnet_jax.models.alexnet import AlexNet


@dataclass(frozen=True)
class Row:
    """One layer with parameters.

    Attributes:
        name: conv1, conv1_norm (its batch normalisation), fc6, ...
        output: shape of what the layer computes for one image, before what follows it.
        parameters: kernel and biases; of a normalisation scales and biases.
        multiply_adds: products of a forward pass for one image, biases not counted.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def describe_layers(model: AlexNet, crop_size: int) -> list[Row]:
    """Return a row for each layer, from the first; nothing is computed."""
    images = jnp.zeros((1, crop_size, crop_size, 3))

    def compute() -> tuple:
        return model.init_with_output(
            jax.random.key(0), images, train=False, capture_intermediates=True
        )

    _, variables = jax.eval_shape(compute)
    rows = []
    for name, parameters in variables["params"].items():
        output = variables["intermediates"][name]["__call__"][0].shape[1:]
        pixels = output[0] * output[1] if len(output) == 3 else 1
        count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
        products = pixels * parameters["kernel"].size if "kernel" in parameters else 0
        rows.append(Row(name, output, count, products))
    return rows


def training_multiply_adds(rows: list[Row]) -> int:
    """Return the products of a training step for one image.

    Forward, the gradient of each kernel, and that of each layer's input but the first's.
    """
    return 3 * sum(row.multiply_adds for row in rows) - rows[0].multiply_adds


def format_layers(rows: list[Row]) -> str:
    """Lay the rows out for a terminal, with their totals."""
    lines = [f"{'layer':<10} {'output':>15} {'parameters':>12} {'multiply-adds':>15}"]
    for row in rows:
        output = " x ".join(str(side) for side in row.output)
        lines.append(f"{row.name:<10} {output:>15} {row.parameters:>12,} {row.multiply_adds:>15,}")
    parameters = sum(row.parameters for row in rows)
    multiply_adds = sum(row.multiply_adds for row in rows)
    lines.append(f"{'total':<10} {'':>15} {parameters:>12,} {multiply_adds:>15,}")
    return "\n".join(lines)
