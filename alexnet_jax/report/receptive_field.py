"""Which pixels of the crop a unit of a convolution sees."""

from dataclasses import dataclass

from alexnet_jax.models.spec import Spec


@dataclass(frozen=True)
class ReceptiveField:
    """The square of pixels that a map's unit depends on.

    The unit in row y sees the rows from y·stride + offset, `size` of them; so too for columns.
    Rows outside the crop are padding.
    """

    size: int
    stride: int
    offset: int

    def window(self, row: int, column: int) -> tuple[int, int]:
        """Return the top row and left column of what a unit sees."""
        return row * self.stride + self.offset, column * self.stride + self.offset


def receptive_fields(spec: Spec) -> dict[str, ReceptiveField]:
    """Return the field of each convolution's units, by layer: conv1, conv2, ...

    Windows of spatial normalization and of the operations after the last convolution do not count.
    """
    fields, size, stride, offset = {}, 1, 1, 0
    for number, layer in enumerate(spec.convolutions, start=1):
        offset -= layer.padding[0] * stride
        size += (layer.window - 1) * stride
        stride *= layer.stride
        fields[f"conv{number}"] = ReceptiveField(size, stride, offset)
        if "pool" in layer.after:
            size += (spec.pooling.window - 1) * stride
            stride *= spec.pooling.stride
    return fields
