"""A network compiled as a whole: operation by operation it takes several times as long."""

import jax


def init(model, images, key=None):
    """Draw the network's variables, of seed 0 unless given."""
    key = jax.random.key(0) if key is None else key
    return jax.jit(lambda key, images: model.init(key, images, train=False))(key, images)


def apply(model, variables, images, train=False, **options):
    """Compute logits, and what the options of `model.apply` ask for."""
    return jax.jit(lambda v, x: model.apply(v, x, train=train, **options))(variables, images)
