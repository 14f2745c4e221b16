"""The paper's text and nothing but the text.

  python -m alexnet_jax.main --config=configs/paper_text.py --workdir=runs/paper_text

The network of the text (227-pixel crops, deviation 0.01 everywhere, alpha on the plain sum), one
rate for kernels and biases, colour noise without the division, and the rate divided by 10 when the
validation error stops improving, three times, in 90 epochs. What "stops improving" means the text
does not say: here, three tests, one an epoch, that are no better by 0.1 points.

Expected error, top-1 / top-5: ten crops 40.7 / 18.2 %, which the paper reports of its code, not of
this reading of its text; not measured here. With so little of the image in the first logits it may
take long to start (docs/training.md).
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
