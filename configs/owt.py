"""One weird trick's network by torchvision's recipe.

  python -m alexnet_jax.main --config=configs/owt.py --workdir=runs/owt

Batch 256, 90 epochs, the rate 0.01 divided by 10 every 30, decay 1e-4 on everything, momentum in
PyTorch's order, random-resized crops, channel means and deviations. torchvision cuts its crops from
the whole image, this from the centre square of 256 pixels that is stored.

Expected: accuracy 56.5 / 79.1 % (top-1 / top-5), centre crop. Published (torchvision), not measured
here.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.model.name = "owt"
    config.data.normalization = "torchvision"
    config.augment.update(crop="random_resized", color_noise=0.0)
    config.optimizer.update(name="pytorch_sgd", weight_decay=0.0001)
    config.schedule.update(name="step_decay", boundaries=(30, 60), factor=0.1)
    config.train.batch_size = 256
    return config
