"""Where the values of a config come from."""

from alexnet_jax.config import default_config
from alexnet_jax.config_origins import find_origins, format_origins


def origins_of(overrides=(), variant="", **values):
    """The origins when a recipe sets train.epochs, and what is run has `values` of `train`."""
    base = default_config()
    base.train.epochs = 5.0
    config = base.copy_and_resolve_references()
    config.train.update(values)
    return find_origins(config, base, dict.fromkeys(overrides), "my.py", variant)


def test_a_value_that_nobody_set_is_the_default():
    assert origins_of()["train.seed"] == "default"


def test_a_value_of_the_recipe_names_its_file():
    assert origins_of()["train.epochs"] == "my.py"


def test_a_value_of_the_variant_names_both():
    assert origins_of(variant="long", epochs=9.0)["train.epochs"] == "my.py:long"


def test_a_value_of_the_command_line_is_last_even_if_the_recipe_has_the_same():
    assert origins_of(overrides=["train.epochs"])["train.epochs"] == "command line"


def test_the_table_has_a_line_for_each_key():
    lines = format_origins(default_config(), origins_of()).splitlines()
    assert lines[0].split() == ["key", "value", "set", "by"]
    assert "train.steps                      unset" in "\n".join(lines)
    assert len(lines) == 1 + len(origins_of())
