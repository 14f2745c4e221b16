import io
import tarfile

import pytest
from made_files import tar

from alexnet_jax.data.builders.archives import read_archive, require_complete
from alexnet_jax.errors import UserError

FILES = {f"{n}.bin": bytes([n]) * 700 for n in range(1, 6)}


def read(path, **options):
    return list(read_archive(path, lambda count: None, **options))


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(FILES))
    return path


def test_files_come_in_order_with_their_bytes(archive):
    assert [(file.name, file.data) for file in read(archive)] == list(FILES.items())


def test_nested_files_say_where_they_lie(tmp_path):
    path = tmp_path / "outer.tar"
    path.write_bytes(tar({"./b.tar": tar({"x/1.bin": b"1"}), "c.tar": tar({"2.bin": b"2"})}))
    origins = [file.origin for file in read(path, nested=True)]
    assert origins == ["1.bin in b.tar of outer.tar", "2.bin in c.tar of outer.tar"]


def test_folders_and_hidden_files_are_passed_over(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("folder/._1.bin", "folder/1.bin"):
            archive.addfile(tarfile.TarInfo(name))
    path = tmp_path / "a.tar"
    path.write_bytes(data.getvalue())
    assert [file.name for file in read(path)] == ["1.bin"]


def test_all_bytes_are_reported(archive):
    counts = []
    list(read_archive(archive, counts.append))
    assert sum(counts) == archive.stat().st_size


# A header takes 512 bytes, a file 1,024: 2 * 1,536 is where the third header starts. Python's
# own tarfile takes a cut at a header's start or inside it for the archive's end.
@pytest.mark.parametrize("size", [0, 100, 1_536 * 2, 1_536 * 2 + 200, 1_536 * 2 + 700])
def test_a_cut_is_found_wherever_it_is(archive, size):
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(UserError, match=rf"a\.tar is cut short .* after {size // 1_536} images"):
        read(archive)
    with pytest.raises(UserError, match=f"after {size:,} bytes"):
        require_complete(archive, official_bytes=1)


def test_a_whole_archive_is_complete_whatever_its_size(archive):
    require_complete(archive, official_bytes=1)


@pytest.mark.parametrize(
    ("size", "known"), [(None, ""), (7, r" \(the official file has 7 bytes\)")]
)
def test_the_official_size_is_named_where_it_is_known(archive, size, known):
    archive.write_bytes(archive.read_bytes()[:700])
    with pytest.raises(UserError, match=f"the end mark of a tar archive{known}; fetch it again"):
        require_complete(archive, size)


def test_a_damaged_header_is_found(archive):
    data = bytearray(archive.read_bytes())
    data[1_536 * 2 : 1_536 * 2 + 512] = b"?" * 512
    archive.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged .* after 2 images"):
        read(archive)
