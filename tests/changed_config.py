"""A config with one key changed."""

from alexnet_jax.config import default_config


def change(key, value):
    """Return the default config with another value of `key`, of whatever type."""
    config = default_config()
    group, name = key.split(".")
    with config.ignore_type():
        config[group][name] = value
    return config
