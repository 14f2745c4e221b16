"""The paper's text and nothing else.

  python -m alexnet_jax.main --config=configs/paper_text.py --workdir=runs/paper_text

The network of the text (227-pixel crops, standard deviation 0.01 in every layer, alpha on the plain
sum), one learning rate for kernels and biases, and color noise that is not divided out. The
learning rate is divided by 10 when the validation error stops improving, three times in 90 epochs.
The text does not define "stops improving"; here it is three evaluations, one per epoch, without an
improvement of 0.1 points.

Expected error, top-1 / top-5: ten crops 40.7 / 18.2 %. The paper reports it for its code, not for
this reading of its text; not measured here. Logits depend little on the image at first, so that
training may start slowly (docs/training.md).
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.model.name = "paper"
    config.augment.color_rescale = False
    config.optimizer.bias_rate_multiplier = 1.0
    config.schedule.update(name="plateau", factor=0.1)
    return config
