"""No hyperparameter is a number in code: those of a run stand in its config."""

import ast
from pathlib import Path

import alexnet_jax
from alexnet_jax.config.schema import SCHEMA


def named_values(node):
    """Yield (name, value) of what a node of code calls by name: arguments, defaults, constants."""
    match node:
        case ast.Call():
            yield from ((keyword.arg, keyword.value) for keyword in node.keywords)
        case ast.FunctionDef(args=arguments):
            with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
            taken = [*with_default, *arguments.kwonlyargs]
            values = [*arguments.defaults, *arguments.kw_defaults]
            for argument, value in zip(taken, values, strict=True):
                yield argument.arg, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield name, value


def is_number(node):
    number = isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    return number and not isinstance(node.value, bool)


def numbers_for_hyperparameters(path):
    """Yield "file: name=number" wherever code gives a number to what a config should say."""
    names = {key.split(".")[1] for key in SCHEMA} - {"num_classes"}  # A fact of a data set.
    for node in ast.walk(ast.parse(path.read_text())):
        for name, value in named_values(node):
            plain = str(name).lower().strip("_")
            meant = any(plain == key or plain.endswith(f"_{key}") for key in names)
            if meant and is_number(value):
                yield f"{path.name}: {name}={value.value}"


# Numbers that are no run's to choose, and why.
NO_HYPERPARAMETERS = {
    "fractals.py: _SEED=2012": "the data set is the same for everybody",
    "drawing.py: _TEXTURE_STEPS=32": "pixels of a texture's grid",
    "images.py: IMAGE_SIZE=256": "paper §2",
    "images.py: MAX_MEGAPIXELS=64": "what prepare and predict refuse, which have no config",
    "maximization.py: _DECAY=0.985": "of a picture's ascent",
    "maximization.py: _STEPS=48": "of a picture's ascent",
    "measures.py: PILOT_SEED=1000": "of runs that choose a rate",
    "statistics.py: _POWER=0.9": "of a test: how often it finds a difference",
    "stepping.py: FEWEST_STEPS=2": "of a measurement",
    "trials.py: _LONGEST_NAME=120": "of a folder",
}


def test_hyperparameters_are_numbers_only_in_configs():
    """And in the tables of 2012: the networks, and the defaults of the paper's update rule."""
    package = Path(alexnet_jax.__file__).parent
    tables = {
        package / "models" / "zoo.py",
        package / "models" / "spec.py",
        package / "training" / "optimizer.py",
    }
    code = set(package.rglob("*.py")) - tables
    found = {line for path in code for line in numbers_for_hyperparameters(path)}
    assert found == set(NO_HYPERPARAMETERS)
    assert all(any(numbers_for_hyperparameters(path)) for path in tables)
