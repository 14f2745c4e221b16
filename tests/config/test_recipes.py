from pathlib import Path

import pytest

from alexnet_jax.config import get_recipe
from alexnet_jax.config.checks import check_config
from alexnet_jax.config.recipes import find_recipe, known_recipes
from alexnet_jax.errors import UserError
from alexnet_jax.training.from_config import check_names, make_model
from configs import imagenet
from configs.sweeps import ablations
from configs.sweeps import small_data as switches


@pytest.mark.parametrize("recipe", known_recipes())
def test_every_recipe_is_a_valid_config(recipe):
    check_config(get_recipe(recipe))


def test_a_recipe_is_found_by_name_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_recipe("demo") == find_recipe("configs/demo.py") == known_recipes()["demo"]


def test_a_file_of_ones_own_comes_before_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "demo").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_recipe("demo") == Path("demo")


@pytest.mark.parametrize("name", ["nowhere.py", "demo.py", "configs/nowhere.py", "recipes/demo.py"])
def test_a_config_that_is_not_there_lists_the_recipes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{name}: there is no such file, .*: automatic, caffe,"):
        find_recipe(name)


def test_a_recipe_can_be_named_behind_the_base_config():
    assert imagenet.get_config("original").train.epochs == 91.0


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(UserError, match="no recipe 'vgg'; the known ones: automatic, caffe"):
        imagenet.get_config("vgg")


@pytest.mark.parametrize("ablation", ablations.get_sweep(), ids=lambda ablation: ablation.name)
def test_every_ablation_is_a_valid_config_of_a_network_that_exists(ablation):
    config = imagenet.get_config("automatic")
    config.update_from_flattened_dict(ablation.overrides)
    check_config(config)
    assert make_model(config).num_classes == 1000


@pytest.mark.parametrize("switch", switches.get_sweep(), ids=lambda switch: switch.name)
def test_every_switch_is_a_valid_config_that_differs_from_its_recipe(switch):
    recipe, config = imagenet.get_config("small_data"), imagenet.get_config("small_data")
    config.update_from_flattened_dict(switch.overrides)
    check_config(config)
    check_names(config)
    assert (config != recipe) == bool(switch.overrides)
