"""Batch 8,192 with LARS: AlexNet-BN of You, Gitman and Ginsburg (arXiv 1708.03888).

  python -m alexnet_jax.main --config=configs/large_batch.py --workdir=runs/large_batch

For several GPUs or TPUs that together hold the batch: 1,024 images a device on eight.

Caffe's AlexNet with batch normalisation right after each convolution, before the ReLU, in place of
both response norms and of the convolutions' biases; the fully connected layers have none, and keep
dropout (nvcaffe, models/alexnet_bn/train_val.prototxt, the authors' program). LARS with trust
coefficient 0.001, rate 14, momentum 0.9, decay 5e-4; biases and scales adapt and decay too, as
theirs did. Warm-up over 5 epochs from a tenth of the rate; the rate falls with the square of what
is left of 100 epochs. Their models/alexnet_bn/solver_8K.prototxt, a later experiment in float16,
has 10 in place of 14, from 1, 600 of 15,600 steps of warm-up, and another norm.

Expected: accuracy 60.1 % (top-1), centre crop; 60.2 % at batch 512. Published (paper, the table of
AlexNet-BN with LARS), not measured here.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config() -> ConfigDict:
    """Return what differs from configs/imagenet.py."""
    config = default_config()
    config.model.update(name="caffe", modifications=("batch_norm",))
    config.augment.color_noise = 0.0
    config.optimizer.update(
        name="lars", weight_decay=0.0005, trust_coefficient=0.001, adapt_biases=True
    )
    config.schedule.update(
        name="polynomial", learning_rate=14.0, power=2.0, warmup_epochs=5.0, warmup_start=0.1
    )
    config.train.update(batch_size=8192, epochs=100.0)
    config.eval.batch_size = 1024
    # An epoch has 156 steps.
    config.log.update(every_steps=10, stuck_after_steps=1_000)
    return config
