import pytest

from alexnet_jax.data.builders.preparation import Request, check_store, prepare_store
from alexnet_jax.errors import UserError

REQUEST = {"dataset": "imagenet2012", "image_size": 16}


def test_an_untouched_store_is_as_it_was_written(stored, capsys):
    check_store(Request(data_dir=stored[0], **REQUEST))
    assert "all 4 files, 0.00 GB, are as they were written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "position"),
    [
        ("train-00000-of-00001.npy", 5),
        ("train-00000-of-00001.npy", 9_000),
        ("validation-00000-of-00001.npy", -1),
        ("train-labels.npy", -1),
    ],
)
def test_one_flipped_bit_is_found_and_its_file_named(stored, name, position):
    path = stored[1] / name
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"{name} \(checksum [0-9a-f]{{8}} instead of .*remove"):
        check_store(Request(data_dir=stored[0], **REQUEST))
    path.unlink()
    prepare_store(Request(data_dir=stored[0], **REQUEST))
    check_store(Request(data_dir=stored[0], **REQUEST))


def test_every_damaged_file_is_named(stored):
    (stored[1] / "train-00000-of-00001.npy").unlink()
    (stored[1] / "validation-labels.npy").write_bytes(b"short")
    with pytest.raises(UserError, match=r"No such file.*validation-labels.npy \(5 bytes instead"):
        check_store(Request(data_dir=stored[0], **REQUEST))


def test_where_there_is_none_it_says_what_to_run(imagenet_dir):
    with pytest.raises(UserError, match="no finished pixel store .*--store_only"):
        check_store(Request(data_dir=imagenet_dir, **REQUEST))
