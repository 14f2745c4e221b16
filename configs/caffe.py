"""Caffe's reproduction, bvlc_alexnet.

  python -m alexnet_jax.main --config=configs/caffe.py --workdir=runs/caffe

Batch 256, 450,000 steps, learning rate divided by 10 every 100,000; biases start at 0.1; no color
noise. BVLC resized each image to 256x256 regardless of its proportions; here the shorter edge is
resized to 256 and the center square is kept.

Expected accuracy, top-1 / top-5: center crop 57.1 / 80.2 %. Published (models/bvlc_alexnet), not
measured here.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.model.name = "caffe"
    config.augment.color_noise = 0.0
    config.train.update(batch_size=256, steps=450_000)
    config.schedule.update(
        name="step_decay",
        boundary_steps=(100_000, 200_000, 300_000, 400_000),
        factor=0.1,
    )
    return config
