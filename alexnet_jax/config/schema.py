"""Every config key: its default, what it may be and what it means.

The defaults, the checks, `docs/config.md` and the errors for unknown keys all come from `SCHEMA`.
The defaults are those of configs/imagenet.py; the other recipes change what differs.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from alexnet_jax.config.renamed import refuse_old_key
from alexnet_jax.config.rules import (
    COUNT,
    EPOCHS,
    FOLDER,
    MOST_MEGAPIXELS,
    NUMBER,
    POSITIVE,
    POSITIVE_EPOCHS,
    SHARE,
    SWITCH,
    TEXT,
    Rule,
    list_of,
    one_of,
)
from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class Key:
    """One key of the config.

    Attributes:
        default: Default value; None means unset.
        rule: What the value may be.
        meaning: One or two sentences for docs/config.md.
        free_on_resume: Whether a resume may change the value, which does not change the numbers.
        per_host: Whether the hosts of one run may have different values.
        added_later: Whether older saved configs lack the key; the default is what runs did then.
    """

    default: Any
    rule: Rule
    meaning: str
    free_on_resume: bool = False
    per_host: bool = False
    added_later: bool = False


FREE_ON_RESUME, PER_HOST, ADDED_LATER = "free_on_resume", "per_host", "added_later"


def key(default: Any, rule: Rule, meaning: str, *traits: str) -> Key:
    """Return a `Key` with the traits that are named."""
    return Key(default, rule, meaning, **dict.fromkeys(traits, True))


# fmt: off
SCHEMA: dict[str, Key] = {
    "model.name": key("original", TEXT, "Network: a name in `alexnet_jax.models.MODELS`."),
    "model.num_classes": key(1000, COUNT.at_most(2**24), "Number of classes."),
    "model.dtype": key("float32", one_of("float32", "bfloat16"),
        "Dtype of activations and products. Parameters, logits and the loss are always float32."),
    "model.precision": key("float32", one_of("float32", "fast"),
        "Precision of float32 products. `fast` uses TF32 on GPUs and bfloat16 on TPUs.",
        ADDED_LATER),
    "model.kernels": key("fast", one_of("fast", "plain"),
        "`fast` chooses forms of the operations that are fast on this platform; `plain` uses those "
        "of `alexnet_jax/models/ops.py`. They differ by rounding. Random crops on TPUs have "
        "a form of their own, with the same pixels, in both.", ADDED_LATER),
    "model.modifications": key((), list_of(TEXT),
        "Names in `alexnet_jax.models.MODIFICATIONS`, e.g. `('no_lrn', 'tanh')`."),
    "data.name": key("imagenet2012", TEXT, "Data set, as `prepare` named it."),
    "data.dir": key("data", FOLDER, "Folder of the prepared data sets.", FREE_ON_RESUME, PER_HOST),
    "data.source": key("records", one_of("records", "store", "device"),
        "`records` decodes images in every epoch; `store` reads the pixel store; `device` also "
        "keeps it in device memory, an equal share on each device.", FREE_ON_RESUME),
    "data.image_size": key(256, COUNT.at_most(4096), "Side of the prepared images, in pixels."),
    "data.crop_size": key(None, COUNT.optional,
        "Side of the crops, in pixels. Unset: the network's own."),
    "data.normalization": key("mean_image", one_of("mean_image", "torchvision"),
        "`mean_image` subtracts the training split's mean image; `torchvision` uses channel means "
        "and standard deviations."),
    "data.threads": key(None, COUNT.at_most(4096).optional,
        "Threads that prepare batches. Unset: one per usable core.", FREE_ON_RESUME, PER_HOST),
    "data.max_megapixels": key(64.0, POSITIVE.at_most(MOST_MEGAPIXELS),
        "Images with more megapixels are refused. Decoding one of 64 takes up to 1 GB.",
        FREE_ON_RESUME, ADDED_LATER),
    "augment.crop": key("random", TEXT,
        "Training crops: `random` of a fixed size, `random_resized` as torchvision's, or "
        "`center`."),
    "augment.smallest_area": key(0.08, replace(SHARE, above=0),
        "`random_resized`: smallest crop area, as a fraction of the image."),
    "augment.largest_ratio": key(4 / 3, replace(NUMBER, least=1),
        "`random_resized`: largest ratio of width to height."),
    "augment.flip": key(True, SWITCH, "Mirror half of the training images."),
    "augment.group_size": key(1, COUNT,
        "Number of consecutive images that share one crop and flip. The 2012 code: 32."),
    "augment.color_noise": key(0.1, NUMBER,
        "Standard deviation of the PCA color noise, as a multiple of the data's own. 0: none."),
    "augment.color_noise_until": key(None, POSITIVE_EPOCHS.optional,
        "Epoch at which the color noise ends. Unset: never."),
    "augment.color_rescale": key(True, SWITCH,
        "Divide by `1 + color_noise`, as the 2012 code does and the paper's text does not."),
    "augment.mixup": key(0.0, NUMBER,
        "Mix each image and its label with another one of the batch, in shares from Beta(`mixup`, "
        "`mixup`) (arXiv 1710.09412). 0: off.", ADDED_LATER),
    "augment.extra": key((), list_of(TEXT),
        "Further augmentations: names in `alexnet_jax.data.augment.AUGMENTATIONS`, applied in this "
        "order after the flip and before the color noise (docs/extending.md).", ADDED_LATER),
    "optimizer.name": key("krizhevsky_sgd", TEXT,
        "Update rule: `krizhevsky_sgd`, `pytorch_sgd` or `lars` (the equations: "
        "`alexnet_jax/training/optimizer.py`)."),
    "optimizer.momentum": key(0.9, replace(NUMBER, below=1), "Momentum."),
    "optimizer.weight_decay": key(0.0005, NUMBER, "Weight decay."),
    "optimizer.bias_rate_multiplier": key(2.0, NUMBER,
        "`krizhevsky_sgd`: learning rate of biases, as a multiple of that of kernels."),
    "optimizer.bias_schedule": key("same", one_of("same", "constant", "halfway"),
        "`krizhevsky_sgd`: learning rate of biases over time: `same` as kernels, `constant`, or "
        "divided once by `bias_decay`, `halfway` through the run."),
    "optimizer.bias_decay": key(10.0, POSITIVE,
        "`krizhevsky_sgd`, `bias_schedule=halfway`: divisor of the biases' learning rate."),
    "optimizer.trust_coefficient": key(0.001, POSITIVE,
        "`lars`: fraction of its norm by which a tensor moves at learning rate 1.", ADDED_LATER),
    "optimizer.adapt_biases": key(True, SWITCH,
        "`lars`: biases and scales adapt and decay as kernels do.", ADDED_LATER),
    "schedule.name": key("staircase_exponential", TEXT,
        "Learning-rate schedule: `constant`, `step_decay`, `staircase_exponential`, `polynomial`, "
        "`cosine` or `plateau`."),
    "schedule.learning_rate": key(0.01, POSITIVE, "Learning rate of kernels at the start."),
    "schedule.decay": key(250.0, POSITIVE,
        "`staircase_exponential`: first learning rate divided by the last."),
    "schedule.power": key(2.0, POSITIVE,
        "`polynomial`: power of the fraction of the run that is left.", ADDED_LATER),
    "schedule.warmup_epochs": key(0.0, EPOCHS,
        "Epochs of linear warm-up, before any schedule.", ADDED_LATER),
    "schedule.warmup_start": key(0.0, SHARE,
        "Learning rate at which warm-up starts, as a fraction of the full rate.", ADDED_LATER),
    "schedule.boundaries": key((25, 51, 79), list_of(POSITIVE_EPOCHS),
        "`step_decay`: epochs at which the learning rate is multiplied by `factor`."),
    "schedule.boundary_steps": key((), list_of(POSITIVE_EPOCHS),
        "`step_decay`: the same in steps, instead of epochs."),
    "schedule.factor": key(0.1, POSITIVE.at_most(1000),
        "`step_decay` and `plateau`: what multiplies the learning rate."),
    "schedule.patience": key(3, COUNT,
        "`plateau`: evaluations without improvement before the learning rate drops."),
    "schedule.threshold": key(0.001, NUMBER,
        "`plateau`: decrease of the top-1 error that counts as an improvement, as an absolute "
        "fraction: 0.001 is 0.1 percentage points."),
    "schedule.drops": key(3, COUNT, "`plateau`: number of drops at most."),
    "schedule.conv1_boundaries": key((), list_of(EPOCHS),
        "`krizhevsky_sgd`: epochs at which the learning rate of conv1 takes `conv1_factors`."),
    "schedule.conv1_factors": key((), list_of(NUMBER),
        "Learning rate of conv1 from each boundary on, as a multiple of the others'. 0 freezes "
        "it."),
    "schedule.output_boundaries": key((), list_of(EPOCHS),
        "The same for the output layer, with `output_factors`."),
    "schedule.output_factors": key((), list_of(NUMBER), "The same for the output layer."),
    "train.batch_size": key(128, COUNT, "Images per step, over all devices."),
    "train.microbatch_size": key(None, COUNT.optional,
        "Images computed at once; gradients are accumulated. Unset: the whole batch.",
        FREE_ON_RESUME, ADDED_LATER),
    "train.epochs": key(90.0, POSITIVE_EPOCHS.optional, "Length of the run."),
    "train.steps": key(None, COUNT.optional, "Length of the run in steps, instead of epochs."),
    "train.seed": key(0, Rule((int,), least=0, most=2**32 - 1), "Seeds every random draw."),
    "train.init_from": key(None, FOLDER.optional,
        "Workdir of the run or import whose parameters this run starts from."),
    "train.init_checkpoint": key(None, TEXT.optional,
        "Which of its checkpoints: `best`, `latest` or a step. Unset: the best, else the latest.",
        ADDED_LATER),
    "train.label_smoothing": key(0.0, replace(NUMBER, below=1),
        "Fraction of a label's probability that all classes share (arXiv 1512.00567).",
        ADDED_LATER),
    "train.ema_decay": key(0.0, replace(NUMBER, below=1),
        "Evaluate, and export, an exponential moving average of parameters and statistics, which "
        "keeps this fraction of itself each step, and less in the first ones. 0: none.",
        ADDED_LATER),
    "train.deterministic": key(False, SWITCH,
        "Use deterministic operations on GPUs, where the fastest ones are not.", FREE_ON_RESUME),
    "eval.every_epochs": key(1.0, POSITIVE.optional, "Epochs between evaluations.", FREE_ON_RESUME),
    "eval.every_steps": key(None, COUNT.optional,
        "Steps between evaluations, instead of epochs.", FREE_ON_RESUME),
    "eval.batch_size": key(128, COUNT,
        "Images per evaluation batch, over all devices.", FREE_ON_RESUME),
    "checkpoint.every_epochs": key(0.25, POSITIVE.optional,
        "Epochs between checkpoints.", FREE_ON_RESUME),
    "checkpoint.every_steps": key(None, COUNT.optional,
        "Steps between checkpoints, instead of epochs.", FREE_ON_RESUME),
    "parallel.layout": key("data", one_of("data", "hybrid", "columns", "fsdp"),
        "How batch and parameters are divided over devices (docs/scaling.md).", FREE_ON_RESUME),
    "parallel.model_axis": key(None, COUNT.optional,
        "Devices that share one copy of the parameters. Unset: the layout's own choice.",
        FREE_ON_RESUME, ADDED_LATER),
    "parallel.processes": key(None, COUNT.optional,
        "Number of processes that must join. Unset: as many as were started.",
        FREE_ON_RESUME, ADDED_LATER),
    "parallel.devices": key(None, COUNT.optional,
        "Number of devices that they must have in total. Unset: any.", FREE_ON_RESUME, ADDED_LATER),
    "parallel.initialization_timeout": key(300, COUNT,
        "Seconds to wait for all processes.", FREE_ON_RESUME, ADDED_LATER),
    "parallel.heartbeat_timeout": key(30, COUNT,
        "Seconds of silence after which a process counts as dead.", FREE_ON_RESUME, ADDED_LATER),
    "parallel.shutdown_timeout": key(60, COUNT,
        "Seconds in which all processes must have ended.", FREE_ON_RESUME, ADDED_LATER),
    "log.every_steps": key(100, COUNT, "Steps between lines of the log.", FREE_ON_RESUME),
    "log.stuck_after_steps": key(10_000, COUNT.optional,
        "Steps after which a loss that has not fallen is warned about. Unset: never.",
        FREE_ON_RESUME),
    "log.sink": key(None, TEXT.optional,
        "Module with the interface of `wandb` that also receives the numbers, e.g. `wandb` or "
        "`trackio`.", FREE_ON_RESUME, ADDED_LATER),
}
# fmt: on


def default_config() -> ConfigDict:
    """Return a config with every key at its default."""
    config = ConfigDict()
    for key, entry in SCHEMA.items():
        group, name = key.split(".")
        if group not in config:
            config[group] = ConfigDict()
        # A placeholder keeps the type that the value must have once it is set.
        types = entry.rule.types
        config[group][name] = placeholder(types[0]) if entry.default is None else entry.default
    return config


def check_key(key: str) -> None:
    """Raise UserError, naming the nearest key, unless `key` ("train.seed") exists."""
    refuse_old_key(key)
    if key not in SCHEMA:
        nearest = difflib.get_close_matches(key, SCHEMA, n=1, cutoff=0.0)[0]
        raise UserError(f"config.{key} is unknown; did you mean config.{nearest}?")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"model": {"name": "tiny"}} into {"model.name": "tiny"}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
