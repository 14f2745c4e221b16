"""Files of a pixel store that are damaged: named in a line."""

import pytest

from alexnet_jax.data.pixel_store.manifest import Manifest
from alexnet_jax.errors import UserError


@pytest.mark.parametrize("content", ["", "[]", "null", "[" * 100_000, '{"format": 1}', "3"])
def test_a_damaged_manifest_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(UserError, match="cannot be read .*make the pixel store again") as error:
        Manifest.load(path)
    assert "\n" not in str(error.value)
