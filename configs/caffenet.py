"""CaffeNet, Caffe's reference model: pooling before normalisation, biases of 1.

  python -m alexnet_jax.main --config=configs/caffenet.py --workdir=runs/caffenet

Otherwise as configs/caffe.py. Expected: accuracy 57.4 / 80.4 % (top-1 / top-5), centre crop.
Published (models/bvlc_reference_caffenet), not measured here.
"""

from ml_collections import ConfigDict

from configs import caffe


def get_config() -> ConfigDict:
    """Return what differs from configs/caffe.py."""
    config = caffe.get_config()
    config.model.name = "caffenet"
    return config
