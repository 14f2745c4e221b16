"""Run 145 of the 2012 code, the paper's "1 CNN", with the schedule that its author logged.

  python -m alexnet_jax.main --config=configs/original.py --workdir=runs/original

91 epochs. The learning rate is 0.01, from epoch 25 1e-3, from 51 1e-4, from 79 1e-5. At epoch 67
the color noise ends and conv1 learns at a tenth of the others' rate; at 72 conv1 is frozen. Biases
learn at 0.02 throughout. For speed, the author cropped and flipped 32 consecutive images alike:
--config.augment.group_size=32. The author lowered the rate by hand when the error stood still; on
other data other epochs may be better.

Expected error, top-1 / top-5: ten crops 40.7 / 18.2 %. Published (layer-params-145.cfg, paper table
2), not measured here.

Epochs are completed ones. The 2012 log counts from 1: its "epoch 25" has 24.x epochs completed.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.train.epochs = 91.0
    config.schedule.update(
        name="step_decay",
        boundaries=(25, 51, 79),
        factor=0.1,
        conv1_boundaries=(67, 72),
        conv1_factors=(0.1, 0.0),
    )
    config.optimizer.bias_schedule = "constant"
    config.augment.color_noise_until = 67.0
    return config
