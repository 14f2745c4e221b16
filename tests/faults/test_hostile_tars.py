"""Archives made to do harm: refused in a line."""

import io
import tarfile

import pytest

from alexnet_jax.data.builders.archives import read_archive
from alexnet_jax.errors import UserError


def made(pax=None, size=0, content=b""):
    """An archive of one file; `pax` replaces what its header says, `size` what follows it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.jpg")
        member.pax_headers = pax or {}
        member.size = size
        archive.addfile(member, io.BytesIO(content.ljust(size, b"\0")[:size]))
    return data.getvalue()


SPARSE = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "a.jpg",
    "GNU.sparse.realsize": str(10**12),
}
ARCHIVES = {
    "sparse file of a terabyte": made(SPARSE, 512, b"1\n0\n1\n".ljust(512, b"\0")),
    "number of 5,000 digits": made({**SPARSE, "GNU.sparse.realsize": "9" * 5_000}, 512),
    "number that is none": made({"GNU.sparse.map": "a,b"}),
    "size below 0": made({"size": "-1024"}),
    "size of an exabyte": made({"size": str(10**18)}),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_in_a_line(tmp_path, name):
    path = tmp_path / "a.tar"
    path.write_bytes(ARCHIVES[name])
    with pytest.raises(UserError, match=r"a\.tar") as error:
        list(read_archive(path, lambda count: None))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                  tarfile.FIFOTYPE])  # fmt: skip
def test_links_and_devices_are_passed_over(tmp_path, kind):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("/etc/a.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    assert list(read_archive(tmp_path / "a.tar", lambda count: None)) == []
