"""Imports run downward: a room sees the rooms below it and no others (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import alexnet_jax

PACKAGE = Path(alexnet_jax.__file__).parent
BELOW = {
    "config": set(),
    "kernels": set(),
    "data": set(),
    "models": {"kernels"},
    "parallel": {"models", "data"},
    "evaluation": {"parallel", "models", "data"},
    "training": {"evaluation", "parallel", "models", "data", "config"},
    "diagnosis": {"training", "parallel", "models", "data"},
    "report": {"sweeps", "training", "evaluation", "parallel", "models", "data", "config"},
    "serve": {"report", "training", "evaluation", "parallel", "models", "data"},
    "sweeps": {"training", "config"},
    "weights": {"training", "parallel", "models", "data", "config"},
}
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def rooms_imported(file):
    """Yield the rooms whose modules a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case _:
                continue
        for module in modules:
            package, *path = module.split(".")
            if package == "alexnet_jax" and path and (PACKAGE / path[0]).is_dir():
                yield path[0]


def test_every_room_has_its_place():
    assert set(ROOMS) == set(BELOW)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_below_alone(room):
    for file in (PACKAGE / room).rglob("*.py"):
        assert set(rooms_imported(file)) - {room} <= BELOW[room], file


def test_no_room_is_below_itself():
    def all_below(room):
        return BELOW[room].union(*map(all_below, BELOW[room]))

    assert all(room not in all_below(room) for room in BELOW)
