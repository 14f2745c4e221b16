"""AlexNet in JAX: the 2012 network, its training, and its data."""

__version__ = "0.1.0"
