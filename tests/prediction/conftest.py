import pytest

from alexnet_jax.data.records import Records


@pytest.fixture
def images(fractals_dir, tmp_path):
    """Write images as 0.png, 1.png, ...; returns their paths."""

    def write(count):
        records = Records(fractals_dir, "fractals/demo_20", "validation")
        paths = [tmp_path / f"{index}.png" for index in range(count)]
        for path, example in zip(paths, records.read(range(count)), strict=True):
            path.write_bytes(example["image"])
        return paths

    return write
