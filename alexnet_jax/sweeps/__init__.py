"""Many runs of one config, each with its own overrides."""

from alexnet_jax.sweeps.trials import Trial, grid

__all__ = ["Trial", "grid"]
