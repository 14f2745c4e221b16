"""The description behind a program; tests/weights/test_formats.py has the program itself."""

import json
import zipfile

import pytest
from made_weights import make_bundle

from alexnet_jax.errors import UserError
from alexnet_jax.weights.stablehlo import export_program, read_program


@pytest.fixture(scope="module")
def bundle():
    return make_bundle(config={"data": {"name": "pets"}})


@pytest.fixture(scope="module")
def whole(bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("stablehlo") / "whole"
    export_program(bundle, path)
    return path


@pytest.fixture
def program(whole, tmp_path):
    """A copy to change."""
    path = tmp_path / "program"
    path.write_bytes(whole.read_bytes())
    return path


def test_a_program_brings_its_class_names_and_data(bundle, whole):
    found = read_program(whole)
    assert (found.class_names, found.image_size) == (bundle.class_names, 96)
    assert (found.model_name, found.data) == ("tiny", "pets")


def test_any_zip_reader_prints_the_description(whole):
    with zipfile.ZipFile(whole) as archive:
        assert json.loads(archive.read("description.json"))["crop_size"] == 80


def test_a_program_without_a_description_numbers_its_classes(program):
    with zipfile.ZipFile(program) as archive:
        offset = archive.infolist()[0].header_offset
    program.write_bytes(program.read_bytes()[:offset])
    found = read_program(program)
    assert found.class_names[3] == "class 3"
    assert found.data is None


@pytest.mark.parametrize("content", [b"hello", b"\0" * 1000])
def test_other_files_are_refused(program, content):
    program.write_bytes(content)
    with pytest.raises(UserError, match="is truncated or no StableHLO program"):
        read_program(program)


def rewrite(program, text):
    """Replace the description."""
    with zipfile.ZipFile(program) as archive:
        offset = archive.infolist()[0].header_offset
    program.write_bytes(program.read_bytes()[:offset])
    with zipfile.ZipFile(program, "a") as archive:
        archive.writestr("description.json", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "its description is damaged"),
        ("[]", "its description is damaged .it is no object"),
        ('{"class_names": ["a", "b"]}', "has 2 class names for 10 classes"),
        ('{"class_names": "abcdefghij"}', "its class names are not a list of texts"),
    ],
)
def test_a_damaged_description_is_refused(program, text, words):
    rewrite(program, text)
    with pytest.raises(UserError, match=words):
        read_program(program)
