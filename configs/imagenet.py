"""AlexNet on ImageNet 2012 with a fixed learning-rate schedule.

  python -m alexnet_jax.main --config=configs/imagenet.py --workdir=runs/imagenet

The network of run 145 of the 2012 code, batch 128, 90 epochs; the learning rate is divided by
250^(1/3) at 25, 50 and 75 %, as in run 170. It needs a GPU or TPU; on CPUs it is a smoke test.

It differs from run 170 (configs/automatic.py), which trains for 95 epochs, ends the color noise at
epoch 68, freezes conv1 at epoch 74 and divides the biases' learning rate by 10 at half time. Here
the color noise and conv1's training never end, and biases learn at twice the kernels' rate.

Expected error: not published and not measured here. The nearest published run is 170, top-1 /
top-5: center crop 42.3 / 19.6 %, ten crops 40.5 / 18.0 %.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config, get_recipe


def get_config(recipe: str = "") -> ConfigDict:
    """Return the defaults; docs/config.md lists every key.

    Args:
        recipe: as in --config=configs/imagenet.py:original, another file's config.
    """
    return get_recipe(recipe) if recipe else default_config()
