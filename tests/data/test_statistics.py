import shutil

import numpy as np
import pytest
from made_files import jpeg, training_images

from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.statistics_file import compute_statistics, save_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import has_statistics, load_statistics
from alexnet_jax.errors import UserError

SIZE = 16


@pytest.fixture(scope="module")
def records(imagenet_dir):
    return Records(imagenet_dir, "imagenet2012", "train")


@pytest.fixture(scope="module")
def statistics(records):
    return compute_statistics(DecodedImages(records, SIZE))


@pytest.fixture(scope="module")
def pixels():
    files = [data for images in training_images().values() for data in images.values()]
    return np.stack([read_image(data, SIZE) for data in files]).astype(np.float64)


def test_mean_image_is_numpys(statistics, pixels):
    np.testing.assert_array_equal(statistics.mean_image, pixels.mean(axis=0).astype(np.float32))


def test_axes_and_deviations_rebuild_numpys_covariance(statistics, pixels):
    covariance = np.cov(pixels.reshape(-1, 3), rowvar=False, bias=True)
    axes, std = (
        statistics.pca_eigenvectors.astype(np.float64),
        statistics.pca_std.astype(np.float64),
    )
    np.testing.assert_allclose(axes @ np.diag(std**2) @ axes.T, covariance, rtol=1e-5)


def test_deviations_decrease(statistics):
    assert list(statistics.pca_std) == sorted(statistics.pca_std, reverse=True)


def test_deviation_is_that_of_the_pixels_along_its_axis(statistics, pixels):
    along = pixels.reshape(-1, 3) @ statistics.pca_eigenvectors.astype(np.float64)
    np.testing.assert_allclose(along.std(axis=0), statistics.pca_std, rtol=1e-5)


def test_each_axis_points_to_where_its_largest_component_is_positive(statistics):
    axes = statistics.pca_eigenvectors
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(3)] > 0).all()


def test_every_image_counts_once_and_is_reported(records):
    reported = []
    pixels = DecodedImages(records, SIZE)
    assert compute_statistics(pixels, reported.append).count == 12 == sum(reported)


class OrderedPixels:
    """The same images in another order, in another number of tasks."""

    image_size = SIZE

    def __init__(self, files):
        self._files = files

    def __len__(self):
        return len(self._files)

    def read_into(self, indices, images, labels):
        for row, index in enumerate(indices):
            read_image(self._files[index], SIZE, out=images[row])


def test_the_order_of_the_images_does_not_change_a_bit():
    files = [jpeg(seed) for seed in range(100)]
    forward = compute_statistics(OrderedPixels(files))
    backward = compute_statistics(OrderedPixels(files[::-1]))
    for name in ("mean_image", "pca_eigenvectors", "pca_std"):
        np.testing.assert_array_equal(getattr(forward, name), getattr(backward, name))


def test_gray_images_have_one_axis_of_color():
    gray = compute_statistics(OrderedPixels([jpeg(seed, mode="L") for seed in range(3)]))
    np.testing.assert_allclose(gray.pca_eigenvectors[:, 0], 3**-0.5, rtol=1e-6)
    assert gray.pca_std[0] > 10
    assert (gray.pca_std[1:] < 1e-3).all()


def test_saved_statistics_come_back_as_they_were(statistics, tmp_path):
    save_statistics(statistics, tmp_path)
    loaded = load_statistics(tmp_path, SIZE, count=12)
    for name in ("mean_image", "pca_eigenvectors", "pca_std", "count"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(statistics, name))
    assert loaded.mean_image.dtype == loaded.pca_eigenvectors.dtype == np.float32


def test_saving_leaves_one_file(statistics, tmp_path):
    save_statistics(statistics, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"statistics_{SIZE}.npz"]
    assert has_statistics(tmp_path, SIZE)


def test_missing_statistics_tell_the_command(records):
    command = (
        "python -m alexnet_jax.prepare --dataset=imagenet2012 "
        f"--data_dir={records.directory.parents[1]} --image_size=77"
    )
    with pytest.raises(UserError, match=command):
        load_statistics(records.directory, 77)


def test_statistics_of_another_number_of_images_are_refused(records):
    with pytest.raises(UserError, match="comes from 12 images, the training split has 13"):
        load_statistics(records.directory, SIZE, count=13)


@pytest.fixture
def saved(statistics, records, tmp_path):
    """A file of statistics in a directory that looks like a data set's."""
    shutil.copy(records.directory / "dataset_info.json", tmp_path)
    return save_statistics(statistics, tmp_path)


def test_a_truncated_file_is_a_users_error(saved):
    saved.write_bytes(saved.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be read"):
        load_statistics(saved.parent, SIZE)


def test_a_pickle_in_the_file_is_not_opened(saved):
    with np.load(saved) as arrays:
        np.savez(saved, **(dict(arrays) | {"count": np.array([{}], dtype=object)}))
    with pytest.raises(UserError, match=r"cannot be read .*allow_pickle"):
        load_statistics(saved.parent, SIZE)
