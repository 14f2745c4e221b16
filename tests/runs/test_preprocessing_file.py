import numpy as np
import pytest

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.runs.preprocessing_file import load_preprocessing, save_preprocessing


def test_it_comes_back_from_its_file(tmp_path):
    mean = np.random.default_rng(0).random((4, 4, 3), np.float32)
    save_preprocessing(Preprocessing(mean, np.float32([1, 2, 4])), tmp_path)
    loaded = load_preprocessing(tmp_path)
    np.testing.assert_array_equal(loaded.mean, mean)
    np.testing.assert_array_equal(loaded.std, [1, 2, 4])


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "preprocessing.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"preprocessing.npz cannot be read"):
        load_preprocessing(tmp_path)
