"""AlexNet on ImageNet 2012: the network of 2012 with the schedule that needs no hand.

  python -m alexnet_jax.main --config=configs/imagenet.py --workdir=runs/imagenet

The network of run 145 of the 2012 code, batch 128, 90 epochs, the rate divided by 250^(1/3) at 25,
50 and 75 % as in run 170. For a GPU; on CPUs it is a smoke test.

It is not run 170, which configs/automatic.py is: that one trains for 95 epochs, ends the colour
noise at 68, freezes conv1 at 74 and divides the biases' rate once, by 10, at half time. Here the
noise and conv1 go on to the end, and the biases keep twice the kernels' rate.

Expected error: not published and not measured here. The nearest published run is 170, top-1 /
top-5: centre crop 42.3 / 19.6 %, ten crops 40.5 / 18.0 %.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config, get_recipe


def get_config(recipe: str = "") -> ConfigDict:
    """Return the defaults; docs/config.md lists every key.

    Args:
        recipe: as in --config=configs/imagenet.py:original, another file's config.
    """
    return get_recipe(recipe) if recipe else default_config()
