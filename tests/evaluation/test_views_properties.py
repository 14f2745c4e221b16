import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.evaluation.views import CENTER, cut_view, ten_crop_offsets


@given(st.integers(1, 300), st.data())
def test_crops_lie_inside_the_image_in_its_corners_and_its_center(size, data):
    crop = data.draw(st.integers(1, size))
    offsets = ten_crop_offsets(size, crop)
    assert all(0 <= offset <= size - crop for pair in offsets for offset in pair)
    assert {offsets[n] for n in (0, 1, 3, 4)} == {
        (top, left) for top in (0, size - crop) for left in (0, size - crop)
    }
    assert all(0 <= size - crop - 2 * offset <= 1 for offset in offsets[CENTER])


@given(st.sampled_from([(8, 8), (9, 6), (7, 1)]), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_the_last_five_views_mirror_the_first(sizes, number, seed):
    size, crop = sizes
    images = np.random.default_rng(seed).integers(0, 256, (2, size, size, 3), np.uint8)
    view, mirrored = cut_view(images, number, crop), cut_view(images, number + 5, crop)
    top, left = ten_crop_offsets(size, crop)[number]
    expected = images[:, top : top + crop, left : left + crop]
    np.testing.assert_array_equal(view, expected)
    np.testing.assert_array_equal(mirrored, expected[:, :, ::-1])
