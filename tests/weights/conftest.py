import pytest
from made_weights import narrow

from alexnet_jax.models import MODELS


@pytest.fixture(autouse=True)
def narrow_networks(monkeypatch):
    """`owt`, `caffe` and `caffenet` with a sixteenth of their kernels, beside the real ones."""
    for name in ("owt", "caffe", "caffenet"):
        monkeypatch.setitem(MODELS, name, narrow(MODELS[name]))
