r"""1 CNN*: six convolutions, pre-trained on more classes, fine-tuned (code, run 146-2012-2011).

  python -m alexnet_jax.main --config=configs/one_cnn_star.py:pretrain --workdir=runs/pretrain \
      --config.data.name=folder --config.model.num_classes=21841
  python -m alexnet_jax.main --config=configs/one_cnn_star.py --workdir=runs/one_cnn_star \
      --config.train.init_from=runs/pretrain

Pre-training: the 2011 Fall release, or any folder of classes, 8 epochs; the learning rate is
divided by 10 at epoch 6. The author started from a network that was trained on 10,000 classes of
2009, and had a layer of 1,024 units before the output; both are left out here.

Fine-tuning, from the author's log: 54 epochs at 1e-3, divided by 10 at epochs 22 and 42. The output
layer learns ten times as fast until epoch 9. conv1 learns at a tenth, from epoch 5 at a hundredth,
and is frozen at epoch 7. The color noise ends at epoch 38. In the log the output layer had the
rate of the other layers, 0.001, for the first 300 batches; here it has ten times that from the
first step.

Expected error, top-1 / top-5: ten crops 39.0 / 16.6 %. Published (layer-params-146-2012-2011.cfg,
paper table 2), not measured here.
"""

from ml_collections import ConfigDict

from alexnet_jax.config import default_config


def get_config(stage: str = "finetune") -> ConfigDict:
    """Return what differs from configs/imagenet.py, for a stage: "pretrain" or "finetune"."""
    config = default_config()
    config.model.name = "six_conv"
    config.schedule.update(name="step_decay", factor=0.1)
    config.optimizer.bias_schedule = "constant"
    if stage == "pretrain":
        config.train.epochs = 8.0
        config.schedule.boundaries = (6,)
        return config
    config.train.epochs = 54.0
    config.schedule.update(
        learning_rate=0.001,
        boundaries=(22, 42),
        conv1_boundaries=(0, 5, 7),
        conv1_factors=(0.1, 0.01, 0.0),
        output_boundaries=(0, 9),
        output_factors=(10.0, 1.0),
    )
    config.optimizer.bias_rate_multiplier = 20.0  # Biases at 0.02 throughout, as ever.
    config.augment.color_noise_until = 38.0
    return config
