import pytest

from alexnet_jax.config import default_config
from alexnet_jax.config.checks import check_config
from alexnet_jax.config.renamed import RENAMED_KEYS, RENAMED_VALUES
from alexnet_jax.config.schema import SCHEMA, check_key
from alexnet_jax.errors import UserError
from alexnet_jax.runs.saved_config import complete


@pytest.mark.parametrize("old", RENAMED_KEYS)
def test_an_old_key_is_refused_with_the_new_one(old):
    with pytest.raises(UserError, match=f"config.{old} is now config.{RENAMED_KEYS[old]}"):
        check_key(old)


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [(key, *pair) for key, names in RENAMED_VALUES.items() for pair in names.items()],
)
def test_an_old_value_is_refused_with_the_new_one(key, old, new):
    config = default_config()
    group, name = key.split(".")
    config[group][name] = old
    with pytest.raises(UserError, match=f"config.{key}='{old}' is now '{new}'"):
        check_config(config)


def test_every_new_key_is_in_the_schema():
    assert set(RENAMED_KEYS.values()) <= set(SCHEMA)
    assert not set(RENAMED_KEYS) & set(SCHEMA)


def test_a_config_that_was_saved_with_old_names_reads_as_with_new_ones():
    config = default_config()
    config.augment.group_size = 32
    config.model.modifications = ("no_lrn",)
    config.parallel.layout = "fsdp"
    config.schedule.name = "step_decay"
    saved = config.to_dict()
    saved["augment"]["share"] = saved["augment"].pop("group_size")
    saved["model"]["changes"] = saved["model"].pop("modifications")
    saved["parallel"]["layout"] = "sharded"
    saved["schedule"]["name"] = "stepped"
    assert complete(saved).to_dict() == config.to_dict()
