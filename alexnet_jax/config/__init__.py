"""The config: every key, its default, its checks, and how a run keeps it."""

from alexnet_jax.config.recipes import get_recipe
from alexnet_jax.config.schema import default_config

__all__ = ["default_config", "get_recipe"]
