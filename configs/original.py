"""Run 145 of the 2012 code, the paper's "1 CNN", as its author logged it.

  python -m alexnet_jax.main --config=configs/original.py --workdir=runs/original

The rate is 0.01, from epoch 25 1e-3, 51 1e-4, 79 1e-5; at 67 the colour noise ends and conv1's rate
drops to a tenth of the others', at 72 conv1 is frozen; stop at 91. Biases learn at 0.02 throughout.
The author cut and mirrored 32 consecutive images alike, for speed: --config.augment.group_size=32.
The author's drops answered to his data's order and to the year; a run of one's own may want others.

Expected error, top-1 / top-5: ten crops 40.7 / 18.2 %. Published (layer-params-145.cfg, paper table
2), not measured here.

Epochs are completed ones; the log counts from 1, so its "epoch 25" has 24.x epochs completed.
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
