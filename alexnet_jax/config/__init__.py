"""The config: every key, its default and its checks; recipes by name."""

from alexnet_jax.config.recipes import get_recipe
from alexnet_jax.config.schema import default_config

__all__ = ["default_config", "get_recipe"]
