import jax.numpy as jnp

from alexnet_jax.runs.results import parameters_sha256


def test_equal_parameters_have_equal_hashes():
    assert parameters_sha256({"a": jnp.ones(3)}) == parameters_sha256({"a": jnp.ones(3)})


def test_the_last_bit_changes_the_hash():
    nearly = jnp.ones(3).at[1].set(jnp.nextafter(jnp.float32(1), jnp.float32(2)))
    assert parameters_sha256({"a": jnp.ones(3)}) != parameters_sha256({"a": nearly})


def test_names_change_the_hash():
    assert parameters_sha256({"a": jnp.ones(3)}) != parameters_sha256({"b": jnp.ones(3)})
