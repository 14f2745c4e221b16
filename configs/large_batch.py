"""Batch 8,192 with LARS: AlexNet-BN of You, Gitman and Ginsburg (arXiv 1708.03888).

  python -m alexnet_jax.main --config=configs/large_batch.py --workdir=runs/large_batch

Needs several GPUs or TPUs that hold the batch together: 1,024 images per device on eight.

The network is Caffe's AlexNet with batch normalization after each convolution, before the ReLU. It
replaces both response norms and the biases of convolutions; the fully connected layers have none
and keep dropout (nvcaffe, models/alexnet_bn/train_val.prototxt, the authors' program). LARS has
trust coefficient 0.001, learning rate 14, momentum 0.9 and weight decay 5e-4; biases and scales
adapt and decay too, as in the authors' program. Warm-up takes 5 epochs, from a tenth of the rate.
The rate falls with the square of the fraction of the 100 epochs that is left.

The authors' models/alexnet_bn/solver_8K.prototxt, a later experiment in float16, differs: learning
rate 10 after warm-up from 1 over 600 of 15,600 steps, and another norm.

Expected accuracy, top-1: center crop 60.1 %; 60.2 % at batch 512. Published (paper, the table of
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
