"""The application with the network of the short run."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from alexnet_jax.serve.app import make_app


@pytest.fixture(scope="session")
def app(finished):
    """The application; the training images are looked at in the background."""
    return make_app(finished[0], None, None, 40, 300_000, ["127.0.0.1", "testserver"])


@pytest.fixture(scope="session")
def client(app):
    """A client of the application."""
    return TestClient(app)


@pytest.fixture(scope="session")
def photograph():
    """A JPEG file of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "jpeg")
    return data.getvalue()
