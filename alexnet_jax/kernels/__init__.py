"""Faster forms of the operations in `alexnet_jax.models.ops`, each proven against the plain one."""
