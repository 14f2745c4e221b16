import os

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.prediction.image_paths import count_images, find_images


@pytest.fixture
def folder(tmp_path):
    """A folder with images at two depths, and what is none."""
    root = tmp_path / "photos"
    for name in ("b.JPG", "a/2.png", "a/1.webp", "c.txt", ".hidden.png", ".hidden/x.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "folder.png").mkdir()
    (root / "a" / "again").symlink_to(root)
    (root / "z.png").symlink_to(root / "b.JPG")
    return root


def find(*arguments, lines=()):
    return list(find_images([str(argument) for argument in arguments], lines))


def test_a_folder_is_all_images_below_it_sorted(folder):
    names = [str(path.relative_to(folder)) for path in find(folder)]
    assert names == ["a/1.webp", "a/2.png", "b.JPG", "z.png"]


def test_a_file_is_taken_whatever_its_name(folder):
    assert find(folder / "c.txt", folder / "missing") == [folder / "c.txt", folder / "missing"]


def test_a_dash_stands_for_lines_in_its_place(folder):
    lines = [b"x.png\n", b"\n", b"with space.jpg\r\n", b"last.png"]
    found = [str(path) for path in find("first.png", "-", "end.png", lines=lines)]
    assert found == ["first.png", "x.png", "with space.jpg", "last.png", "end.png"]


def test_names_that_are_no_text_are_taken(tmp_path):
    (path,) = find("-", lines=[b"\xff.png\n"])
    assert os.fsencode(path) == b"\xff.png"


def test_lines_are_read_one_at_a_time():
    def lines():
        yield b"one.png\n"
        raise AssertionError("read too far ahead")

    assert str(next(find_images(["-"], lines()))) == "one.png"


def test_the_count_is_that_of_the_images_found(folder):
    assert count_images([str(folder), str(folder / "c.txt"), str(folder / "a")]) == 4 + 1 + 2


def test_standard_input_cannot_be_counted(folder):
    assert count_images([str(folder), "-"]) is None


def test_a_folder_without_images_is_an_error_before_the_work(folder):
    with pytest.raises(UserError, match=r"folder.png holds no images; .* one of .*\.jpg"):
        count_images(["a.png", str(folder / "folder.png")])
