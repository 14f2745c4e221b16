"""NVIDIA DALI on the CPU; needs an environment of its own: pip install nvidia-dali-cuda120."""

from collections.abc import Iterator
from pathlib import Path

from nvidia.dali import fn, math, pipeline_def, types

from benchmarks.contestants import BATCH, SIZE, THREADS


@pipeline_def(batch_size=BATCH, num_threads=THREADS, device_id=None, seed=0)
def _pipeline(folder: Path):
    data, _ = fn.readers.file(file_root=str(folder / "source" / "train"), random_shuffle=True)
    shape = fn.cast(fn.peek_image_shape(data), dtype=types.FLOAT)
    height, width = shape[0], shape[1]
    side = math.min(height, width)
    square = fn.decoders.image_slice(
        data,
        fn.stack((width - side) / 2, (height - side) / 2),
        fn.stack(side, side),
        normalized_anchor=False,
        normalized_shape=False,
    )
    return fn.resize(square, size=(SIZE, SIZE), antialias=True)


def antialiased(folder: Path) -> Iterator[int]:
    """Decode the center square alone and scale it with DALI's antialiased triangle."""
    pipeline = _pipeline(folder)
    pipeline.build()
    while True:
        (batch,) = pipeline.run()
        yield len(batch.as_array())
