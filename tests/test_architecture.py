"""Imports run downward: a room sees the rooms below it and no others (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import alexnet_jax

PACKAGE = Path(alexnet_jax.__file__).parent
# The way from a config to the gradient, in an order in which it can be read.
CORE = ("config", "models", "data", "parallel", "evaluation", "training")
BELOW = {
    "system": set(),
    "config": {"system"},
    "models": set(),
    "kernels": {"models", "system"},
    "data": {"system"},
    "parallel": {"models", "data", "system"},
    "evaluation": {"parallel", "models", "data", "system"},
    "training": {"evaluation", "parallel", "models", "data", "config", "system"},
    "cluster": {"system"},
    "device_store": {"parallel", "data", "system"},
    "monitoring": {"training", "evaluation", "parallel", "models", "system"},
    "runs": {"monitoring", "device_store", *CORE, "system"},
    "diagnosis": {"runs", "monitoring", "device_store", *CORE, "system"},
    "sweeps": {"runs", "training", "config", "evaluation", "system"},
    "weights": {"runs", "monitoring", *CORE, "system"},
    "prediction": {"weights", "runs", "monitoring", *CORE, "system"},
    "report": {"prediction", "sweeps", "runs", "monitoring", *CORE, "system"},
    "reproduction": {"report", "prediction", "sweeps", "runs", "diagnosis", *CORE, "system"},
    "serve": {"report", "runs", *CORE, "system"},
}
# Imported inside a function, when first used: what is only for speed is not in the way of reading.
WHEN_USED = {"models": {"kernels"}}
MOST_LINES = 5000  # Of the core: an afternoon's reading.
MOST_CONFIGS = 25  # Parameters and fields that hold a whole config, where a run is built.
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def modules_imported(node, inside_functions=True):
    """Yield the modules that a syntax tree imports, and the names from them."""
    match node:
        case ast.ImportFrom(module=str(module), names=names):
            yield from (f"{module}.{name.name}" for name in names)
        case ast.Import(names=names):
            yield from (name.name for name in names)
    if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from modules_imported(child, inside_functions)


def rooms_imported(node):
    """Yield the rooms whose modules a syntax tree imports."""
    for module in modules_imported(node):
        package, *path = module.split(".")
        if package == "alexnet_jax" and path and (PACKAGE / path[0]).is_dir():
            yield path[0]


def test_every_room_has_its_place():
    assert set(ROOMS) == set(BELOW)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_below_alone(room):
    for file in (PACKAGE / room).rglob("*.py"):
        allowed = BELOW[room] | WHEN_USED.get(room, set())
        assert set(rooms_imported(ast.parse(file.read_text()))) - {room} <= allowed, file


@pytest.mark.parametrize("package", ["kernels", "data/builders"])
def test_nothing_imports_what_only_some_runs_use_before_it_is_used(package):
    """That is fast forms, and the data sets that can be prepared."""
    name = f"alexnet_jax.{package.replace('/', '.')}."
    for file in PACKAGE.rglob("*.py"):
        if file.parent != PACKAGE / package:
            modules = modules_imported(ast.parse(file.read_text()), inside_functions=False)
            assert not [module for module in modules if f"{module}.".startswith(name)], file


def test_no_room_is_below_itself():
    def all_below(room):
        return BELOW[room].union(*map(all_below, BELOW[room]))

    assert all(room not in all_below(room) for room in BELOW)


def core_files():
    return [PACKAGE / "main.py", PACKAGE / "errors.py"] + [
        path for room in CORE for path in (PACKAGE / room).glob("*.py")
    ]


def test_the_core_is_read_in_an_afternoon():
    lines = {path: len(path.read_text().splitlines()) for path in core_files()}
    assert sum(lines.values()) <= MOST_LINES


def takes_a_config(node):
    annotated = isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None
    return annotated and "ConfigDict" in ast.unparse(node.annotation)


def test_few_functions_see_the_whole_config():
    """On the way of a run; all others take the values that they use."""
    files = [path for room in ("training", "runs") for path in (PACKAGE / room).glob("*.py")]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    assert sum(map(takes_a_config, nodes)) <= MOST_CONFIGS
    below = [path for room in CORE[1:-1] for path in (PACKAGE / room).rglob("*.py")]
    nodes = [node for path in below for node in ast.walk(ast.parse(path.read_text()))]
    assert not any(map(takes_a_config, nodes))
