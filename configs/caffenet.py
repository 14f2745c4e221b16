"""CaffeNet, Caffe's reference model: pooling before normalization, biases start at 1.

  python -m alexnet_jax.main --config=configs/caffenet.py --workdir=runs/caffenet

Everything else is as in configs/caffe.py.

Expected accuracy, top-1 / top-5: center crop 57.4 / 80.4 %. Published
(models/bvlc_reference_caffenet), not measured here.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import get_recipe


def get_config() -> ConfigDict:
    """Return what differs from configs/caffe.py."""
    config = get_recipe("caffe")
    config.model.name = "caffenet"
    return config
