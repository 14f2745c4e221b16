"""The network of "One weird trick" with torchvision's recipe.

  python -m alexnet_jax.main --config=configs/owt.py --workdir=runs/owt

Batch 256, 90 epochs, learning rate 0.01 divided by 10 every 30 epochs, weight decay 1e-4 on all
parameters, momentum in PyTorch's order, random resized crops, channel means and standard
deviations. torchvision crops the whole image; here the stored center square of 256 pixels is
cropped.

Expected accuracy, top-1 / top-5: center crop 56.5 / 79.1 %. Published (torchvision), not measured
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
