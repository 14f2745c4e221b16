"""Descriptions of data sets that are damaged: named in a line, with the way out."""

import shutil

import pytest
from short_run import FRACTALS

from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

CONTENTS = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"splits": 3}']


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_description_is_refused_in_a_line(fractals_dir, tmp_path, name):
    source = next(fractals_dir.glob(f"{FRACTALS}/*/dataset_info.json")).parent
    for number, content in enumerate(CONTENTS):
        directory = tmp_path / str(number) / FRACTALS / source.name
        directory.mkdir(parents=True)
        for file in source.glob("*.json"):
            shutil.copy(file, directory)
        (directory / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read|holds|has no split") as error:
            Records(tmp_path / str(number), FRACTALS, "train")
        assert "\n" not in str(error.value)
