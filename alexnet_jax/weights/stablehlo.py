"""One program with everything inside: pixels in, probabilities out, for other people's machines."""

from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export

from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.weights.bundle import Bundle
from alexnet_jax.weights.files import exported_file

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(bundle: Bundle, path: Path) -> None:
    """Write the network as StableHLO, by `jax.export`, with preprocessing and parameters inside.

    The program takes uint8 [b, S, S, 3], RGB, any b, S the size of the stored images; cuts the
    centre, and returns probabilities, float32 [b, classes]. To run it:

        program = jax.export.deserialize(Path("alexnet.stablehlo").read_bytes())
        probabilities = program.call(images)
    """
    model, variables = bundle.model, bundle.variables

    def classify(images: jax.Array) -> jax.Array:
        crops = bundle.preprocessing(center_crop(images, bundle.crop_size))
        return jax.nn.softmax(model.apply(variables, crops, train=False))

    size = bundle.image_size
    shape = export.symbolic_shape(f"b, {size}, {size}, 3")
    images = jax.ShapeDtypeStruct(shape, jnp.uint8)
    program = export.export(jax.jit(classify), platforms=PLATFORMS)(images)
    with exported_file(path) as temporary:
        temporary.write_bytes(program.serialize())
