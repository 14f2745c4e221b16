"""Many runs of one config, each with overrides of its own."""

from alexnet_jax.sweeps.trials import Trial, grid

__all__ = ["Trial", "grid"]
