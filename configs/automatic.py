"""Run 170 of the 2012 code: a fixed schedule, as accurate as the manual one of run 145.

  python -m alexnet_jax.main --config=configs/automatic.py --workdir=runs/automatic

The learning rate is divided by 250^(1/3) at 25, 50 and 75 % of 95 epochs (0.01 to 4e-5), that of
biases by 10 at half time. The color noise ends at epoch 68; conv1 is frozen at epoch 74.

Expected error, top-1 / top-5: ten crops 40.5 / 18.0 %, center crop 42.3 / 19.6 %. Published
(layer-params-170.cfg), not measured here.

Epochs are completed ones. The 2012 log counts from 1: its "epoch 25" has 24.x epochs completed.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.train.epochs = 95.0
    config.schedule.update(conv1_boundaries=(74,), conv1_factors=(0.0,))
    config.optimizer.bias_schedule = "halfway"
    config.augment.color_noise_until = 68.0
    return config
