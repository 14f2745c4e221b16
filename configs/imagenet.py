"""AlexNet on ImageNet 2012: the network of 2012 with the schedule that needs no hand.

  python -m alexnet_jax.main --config=configs/imagenet.py --workdir=runs/imagenet

The network of run 145 of the 2012 code, batch 128, 90 epochs, the rate divided by 250^(1/3) at 25,
50 and 75 % as in run 170. For a GPU; on CPUs it is a smoke test.

It is not run 170, which configs/automatic.py is: that one trains for 95 epochs, ends the colour
noise at 68, freezes conv1 at 74 and divides the biases' rate once, by 10, at half time. Here the
noise and conv1 go on to the end, and the biases keep twice the kernels' rate.

Expected error: not published and not measured here. The nearest published run is 170, top-1 /
top-5: centre crop 42.3 / 19.6 %, ten crops 40.5 / 18.0 %.
"""

import importlib
from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config(recipe: str = "") -> ConfigDict:
    """Return every key there is; other configs change what differs.

    Args:
        recipe: as in --config=configs/imagenet.py:original, another file's config.
    """
    if recipe:
        known = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
        if recipe not in known:
            raise ValueError(f"no recipe {recipe!r}; the known ones: {', '.join(known)}")
        return importlib.import_module(f"configs.{recipe}").get_config()
    config = ConfigDict()
    config.model = ConfigDict(
        {
            "name": "original",
            "num_classes": 1000,
            "dtype": "float32",
            "precision": "float32",  # Of its products; "fast": TF32 on GPUs, bfloat16 on TPUs.
            "changes": (),  # Names of alexnet_jax.models.CHANGES: ("no_lrn", "tanh").
        }
    )
    config.data = ConfigDict(
        {
            "name": "imagenet2012",
            "dir": "data",
            "source": "records",  # "store": decoded once; "device": put on the devices.
            "image_size": 256,
            "crop_size": placeholder(int),  # Unset: the network's own, as its table has it.
            "normalization": "mean_image",  # "torchvision": channel means and deviations.
            "threads": placeholder(int),  # Unset: one a core.
            "max_megapixels": 64.0,  # Larger images are refused; decoding one takes up to 1 GB.
        }
    )
    config.augment = ConfigDict(
        {
            "crop": "random",  # "center", "random_resized"
            "smallest_area": 0.08,  # random_resized: share of the image, torchvision's,
            "largest_ratio": 4 / 3,  # and width over height.
            "flip": True,
            "share": 1,  # Consecutive images with one crop and flip; the 2012 code: 32.
            "color_noise": 0.1,
            "color_noise_until": placeholder(float),  # Epoch; unset: to the end.
            "color_rescale": True,  # Divide by 1 + color_noise; the paper's text does not.
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "krizhevsky_sgd",
            "momentum": 0.9,
            "weight_decay": 0.0005,
            "bias_rate_multiplier": 2.0,
            "bias_schedule": "same",  # As kernels; "constant"; "halfway": divided once ...
            "bias_decay": 10.0,  # ... by this, as in run 170.
            "trust_coefficient": 0.001,  # lars: share of its length a tensor moves, at rate 1,
            "adapt_biases": True,  # and whether biases do so too, and decay.
        }
    )
    config.schedule = ConfigDict(
        {
            "name": "geometric",
            "learning_rate": 0.01,
            "decay": 250.0,  # geometric: the first rate over the last.
            "power": 2.0,  # polynomial: of what is left of the run, as a share.
            "warmup_epochs": 0.0,  # All schedules: epochs in which the rate grows evenly ...
            "warmup_start": 0.0,  # ... from this share of it.
            "boundaries": (25, 51, 79),  # stepped: epochs, as run 145 lowered its rate by hand,
            "boundary_steps": (),  # or the same in steps,
            "factor": 0.1,  # each time by this.
            "patience": 3,  # plateau: tests whose error has not fallen ...
            "threshold": 0.001,  # ... by this fraction, after which the rate takes the factor,
            "drops": 3,  # so often at most.
            "conv1_boundaries": (),  # Epochs at which conv1's rate ...
            "conv1_factors": (),  # ... takes these factors; 0.0 freezes it.
            "output_boundaries": (),  # The same for the output layer.
            "output_factors": (),
        }
    )
    config.train = ConfigDict(
        {
            "batch_size": 128,
            "microbatch_size": placeholder(int),  # Images at once; unset: the whole batch.
            "epochs": 90.0,
            "steps": placeholder(int),  # Instead of epochs.
            "seed": 0,
            "init_from": placeholder(str),  # A workdir whose parameters this run begins with.
            "init_checkpoint": placeholder(str),  # Of it: best, latest or a step. Unset: the best.
            "deterministic": False,
        }
    )
    config.eval = ConfigDict(
        {"every_epochs": 1.0, "every_steps": placeholder(int), "batch_size": 128}
    )
    config.checkpoint = ConfigDict({"every_epochs": 0.25, "every_steps": placeholder(int)})
    config.parallel = ConfigDict(
        {
            "layout": "data",  # "hybrid", "columns", "sharded": docs/scaling.md.
            "model_axis": placeholder(int),  # Devices that share a copy of the parameters.
            "processes": placeholder(int),  # How many must join; unset: all that were started.
            "devices": placeholder(int),  # How many they must have together.
            "initialization_timeout": 300,  # Seconds until all must have come,
            "heartbeat_timeout": 30,  # after which a silent one counts as dead,
            "shutdown_timeout": 60,  # and in which all must have ended.
        }
    )
    config.log = ConfigDict({"every_steps": 100, "stuck_after_steps": 10_000})
    return config
