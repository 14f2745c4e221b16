import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from alexnet_jax.data.resized_crop import _random_boxes, random_resized_crop

pytestmark = pytest.mark.slow


def boxes_of(images, **limits):
    """Crops of a ramp whose pixel tells its place: channel 0 the row, 1 the column."""
    return np.asarray(random_resized_crop(jax.random.key(0), images, 16, **limits))


@pytest.fixture
def ramp():
    rows, columns = np.mgrid[:32, :32]
    image = np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    return jnp.asarray(np.broadcast_to(image, (256, 32, 32, 3)))


def test_a_box_of_the_whole_image_is_the_image_scaled(ramp):
    (crop,) = boxes_of(ramp[:1], smallest_area=1.0, largest_ratio=1.0)
    expected = Image.fromarray(np.asarray(ramp[0])).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(crop, np.asarray(expected), atol=0.5)


def test_resized_crops_have_the_areas_and_shapes_asked_for(ramp):
    crops = boxes_of(ramp, smallest_area=0.25, largest_ratio=4 / 3)
    # Between the centers of the first and the last pixel lie 15/16 of a side.
    heights = (crops[:, -1, 8, 0] - crops[:, 0, 8, 0]) * 16 / 15
    widths = (crops[:, 8, -1, 1] - crops[:, 8, 0, 1]) * 16 / 15
    areas, ratios = heights * widths / 32**2, widths / heights
    assert 0.2 < areas.min() < 0.35
    assert 0.8 < areas.max() <= 1.05
    assert 1.2 < ratios.max() < 1.45
    assert 1.2 < (1 / ratios).max() < 1.45


def test_a_resized_crop_equals_cutting_and_then_scaling(ramp):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (1, 32, 32, 3)).astype(np.uint8))
    key = jax.random.key(3)
    top, left, height, width = (int(value[0]) for value in _random_boxes(key, 1, 32, 0.25, 4 / 3))
    box = Image.fromarray(np.asarray(images[0, top : top + height, left : left + width]))
    expected = np.asarray(box.resize((16, 16), Image.Resampling.BILINEAR))
    actual = random_resized_crop(key, images, 16, 0.25, 4 / 3)[0]
    np.testing.assert_allclose(actual, expected, atol=1.0)  # Pillow rounds after each direction.
