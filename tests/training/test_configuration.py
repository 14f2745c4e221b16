import ast
import importlib
import math
from pathlib import Path

import pytest

import alexnet_jax
import configs
from alexnet_jax.errors import UserError
from alexnet_jax.training.configuration import (
    KEYS,
    check_config,
    check_key,
    complete,
    differences,
    flatten,
    load_config,
    save_config,
)
from alexnet_jax.training.network import make_model
from configs import demo, imagenet
from configs.sweeps import ablations

RECIPES = [path.stem for path in Path(configs.__path__[0]).glob("[a-z]*.py")]


def change(key, value):
    config = imagenet.get_config()
    group, name = key.split(".")
    with config.ignore_type():
        config[group][name] = value
    return config


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_a_valid_config(recipe):
    check_config(importlib.import_module(f"configs.{recipe}").get_config())


def test_the_base_recipe_has_every_key():
    assert set(flatten(imagenet.get_config().to_dict())) == set(KEYS)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.batch_size", 0, "train.batch_size=0 must be above 0"),
        ("train.batch_size", -128, "train.batch_size=-128 must be above 0"),
        ("train.batch_size", 1.5, "train.batch_size=1.5 should be int"),
        ("train.batch_size", True, "train.batch_size=True should be int"),
        ("train.epochs", -1.0, "train.epochs=-1.0 must be above 0"),
        ("train.steps", 0, "train.steps=0 must be above 0"),
        ("train.seed", -1, "train.seed=-1 must not be below 0"),
        ("data.image_size", 0, "data.image_size=0 must be above 0"),
        ("data.crop_size", -224, "data.crop_size=-224 must be above 0"),
        ("data.crop_size", 300, "crop_size=300 is larger than config.data.image_size=256"),
        ("schedule.learning_rate", math.nan, "learning_rate=nan is not a finite number"),
        ("schedule.learning_rate", math.inf, "learning_rate=inf is not a finite number"),
        ("optimizer.momentum", 1.0, "momentum=1.0 must be below 1"),
        ("optimizer.weight_decay", math.nan, "weight_decay=nan is not a finite number"),
        ("optimizer.name", "adam", "optimizer.name='adam'; the known ones: krizhevsky_sgd"),
        ("schedule.name", "cosine", "schedule.name='cosine'; the known ones: constant, stepped"),
        ("model.dtype", "float16", "model.dtype='float16'; the known ones: float32, bfloat16"),
        ("schedule.warmup_start", 1.5, "warmup_start=1.5 must not be above 1"),
        ("train.init_checkpoint", "newest", "'newest' should be best, latest or a number of steps"),
        ("schedule.warmup_epochs", -1.0, "warmup_epochs=-1.0 must not be below 0"),
        ("schedule.power", 0.0, "schedule.power=0.0 must be above 0"),
        ("optimizer.trust_coefficient", 0.0, "trust_coefficient=0.0 must be above 0"),
        ("augment.smallest_area", 1.5, "augment.smallest_area=1.5 must not be above 1"),
        ("augment.largest_ratio", 0.5, "augment.largest_ratio=0.5 must not be below 1"),
        ("train.epochs", None, "set config.train.steps or config.train.epochs"),
        # Values that passed, and ended in a traceback later.
        ("train.seed", 2**32, "train.seed=4294967296 must not be above 4,294,967,295"),
        ("train.seed", int(1e30), "train.seed=1000000000000000019884624838656 must not be above"),
        ("train.steps", 10**10, "train.steps=10000000000 must not be above 2,147,483,647"),
        ("schedule.warmup_epochs", 1e10, "warmup_epochs=10000000000.0 must not be above 2,147,"),
        ("schedule.boundaries", (25, 1e10), "boundaries=10000000000.0 must not be above 2,147,"),
        ("optimizer.weight_decay", 10**40, "weight_decay=1.* must not be above 1e.30"),
        ("schedule.factor", 1e200, "schedule.factor=1e.200 must not be above 1,000"),
        ("model.num_classes", 2**31, "num_classes=2147483648 must not be above 16,777,216"),
        ("data.image_size", 200_000, "data.image_size=200000 must not be above 4,096"),
        ("data.max_megapixels", 0.0, "data.max_megapixels=0.0 must be above 0"),
        ("data.max_megapixels", 179.0, "data.max_megapixels=179.0 must not be above 178"),
        ("data.dir", "d" * 5000, "config.data.dir has 5,000 bytes, ddd.*; 4,095 at most"),
        ("data.dir", "a\0b", "data.dir='a.x00b' holds a null character"),
        ("data.name", "\udcff", "data.name='.udcff' is not UTF-8"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(UserError, match=message):
        check_config(change(key, value))


def test_a_recipe_can_be_named_behind_the_base_config():
    assert imagenet.get_config("original").train.epochs == 91.0


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(ValueError, match="no recipe 'vgg'; the known ones: automatic, caffe"):
        imagenet.get_config("vgg")


@pytest.mark.parametrize("ablation", ablations.get_sweep(), ids=lambda ablation: ablation.name)
def test_every_ablation_is_a_valid_config_of_a_network_that_exists(ablation):
    config = imagenet.get_config("automatic")
    config.update_from_flattened_dict(ablation.overrides)
    check_config(config)
    assert make_model(config).num_classes == 1000


def test_an_unknown_key_names_the_nearest():
    config = imagenet.get_config()
    config.train.batchsize = 64
    with pytest.raises(UserError, match=r"train.batchsize is unknown; did you mean config.train.b"):
        check_config(config)


def test_a_key_in_no_group_names_the_nearest():
    with pytest.raises(UserError, match=r"did you mean config.train.seed\?"):
        check_key("seed")


def test_a_missing_key_is_named():
    config = imagenet.get_config()
    del config.train.seed
    with pytest.raises(UserError, match=r"config.train.seed is missing"):
        check_config(config)


def test_a_config_comes_back_from_its_file(tmp_path):
    save_config(imagenet.get_config(), tmp_path)
    assert differences(load_config(tmp_path), imagenet.get_config()) == []


def test_differences_are_told_key_by_key(tmp_path):
    save_config(imagenet.get_config(), tmp_path)
    assert "model.name: 'original' -> 'tiny'" in differences(
        load_config(tmp_path), demo.get_config()
    )


def test_an_integer_that_python_refuses_to_print_is_refused():
    with pytest.raises(UserError, match=r"train.steps has 16,610 bits; 256 at most"):
        check_config(change("train.steps", 10**5000))


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_that_draws_differently_is_taken(seed):
    check_config(change("train.seed", seed))


@pytest.mark.parametrize(
    "key", ["data.dir", "data.max_megapixels", "eval.batch_size", "log.every_steps"]
)
def test_what_does_not_change_the_numbers_may_differ(key):
    assert differences(imagenet.get_config(), change(key, 7)) == []


@pytest.mark.parametrize("key", ["eval.every_steps", "eval.every_epochs"])
def test_how_often_a_plateau_run_evaluates_decides_its_rate(key):
    old, new = change(key, 7), imagenet.get_config()
    assert differences(old, new) == []
    old.schedule.name = new.schedule.name = "plateau"
    assert [line.partition(":")[0] for line in differences(old, new)] == [key]


@pytest.mark.parametrize("boundaries", [(1, "a"), (float("nan"),), (-1,)])
def test_boundaries_are_epochs(boundaries):
    with pytest.raises(UserError, match="schedule.boundaries"):
        check_config(change("schedule.boundaries", boundaries))


@pytest.mark.parametrize("optimizer", ["lars", "pytorch_sgd"])
def test_a_rate_for_one_layer_is_refused_where_it_would_do_nothing(optimizer):
    config = change("schedule.conv1_factors", (0.1,))
    config.schedule.conv1_boundaries = (1,)
    config.optimizer.name = optimizer
    with pytest.raises(
        UserError, match=f"conv1_factors goes with .*krizhevsky_sgd', not '{optimizer}'"
    ):
        check_config(config)


def test_a_plateau_goes_with_lars_but_not_with_pytorchs_rule():
    config = change("schedule.name", "plateau")
    config.optimizer.name = "lars"
    check_config(config)
    config.optimizer.name = "pytorch_sgd"
    with pytest.raises(
        UserError, match="'plateau' goes with optimizer.name='krizhevsky_sgd' or 'lars'"
    ):
        check_config(config)


@pytest.mark.parametrize("values", [{}, {"optimizer": 7}])
def test_what_is_no_config_of_ours_is_not_filled_up(values):
    with pytest.raises(UserError, match="is missing|is unknown"):
        check_config(complete(values))


def test_a_workdir_of_before_a_key_existed_goes_on_with_its_default(tmp_path):
    config = demo.get_config()
    del config.schedule.warmup_epochs
    del config.optimizer.trust_coefficient
    del config.data.max_megapixels
    save_config(config, tmp_path)
    check_config(load_config(tmp_path))
    assert differences(load_config(tmp_path), demo.get_config()) == []


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_damaged_config_names_the_way_out(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json is damaged .*--resume=ignore_config"):
        load_config(tmp_path)


def test_a_folder_without_a_config_is_no_workdir(tmp_path):
    with pytest.raises(UserError, match="is no workdir of a run"):
        load_config(tmp_path)


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
    names = {key.split(".")[1] for key in KEYS} - {"num_classes"}  # A fact of a data set.
    for node in ast.walk(ast.parse(path.read_text())):
        for name, value in named_values(node):
            plain = str(name).lower().strip("_")
            meant = any(plain == key or plain.endswith(f"_{key}") for key in names)
            if meant and is_number(value):
                yield f"{path.name}: {name}={value.value}"


# Numbers that are no run's to choose, and why.
NO_HYPERPARAMETERS = {
    "fractals.py: _SEED=2012": "the data set is the same for everybody",
    "fractal_images.py: _TEXTURE_STEPS=32": "pixels of a texture's grid",
    "images.py: IMAGE_SIZE=256": "paper §2",
    "images.py: MAX_MEGAPIXELS=64": "what prepare and predict refuse, which have no config",
    "preparation.py: _DEMO_IMAGE_SIZE=96": "the size in which the demo's images are drawn",
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
