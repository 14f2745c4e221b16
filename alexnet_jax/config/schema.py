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
        default: None: unset.
        rule: what its value may be.
        meaning: one or two sentences for docs/config.md.
        free_on_resume: a run may go on under another value, because it does not change the numbers.
        per_host: the hosts of one run may have different values.
        added_later: configs that were saved before the key existed lack it. Its default must be
            what runs did then.
    """

    default: Any
    rule: Rule
    meaning: str
    free_on_resume: bool = False
    per_host: bool = False
    added_later: bool = False


SCHEMA: dict[str, Key] = {
    "model.name": Key("original", TEXT, "Network: a name in `alexnet_jax.models.MODELS`."),
    "model.num_classes": Key(1000, COUNT.at_most(2**24), "Number of classes."),
    "model.dtype": Key(
        "float32",
        one_of("float32", "bfloat16"),
        "Dtype of activations and products. Parameters, logits and the loss are always float32.",
    ),
    "model.precision": Key(
        "float32",
        one_of("float32", "fast"),
        "Precision of float32 products. `fast` uses TF32 on GPUs and bfloat16 on TPUs.",
        added_later=True,
    ),
    "model.kernels": Key(
        "fast",
        one_of("fast", "plain"),
        "`fast` chooses forms of the operations that are fast on this platform; `plain` uses those "
        "of `alexnet_jax/models/ops.py`. They differ by rounding.",
        added_later=True,
    ),
    "model.modifications": Key(
        (),
        list_of(TEXT),
        "Names in `alexnet_jax.models.MODIFICATIONS`, e.g. `('no_lrn', 'tanh')`.",
    ),
    "data.name": Key("imagenet2012", TEXT, "Data set, as `prepare` named it."),
    "data.dir": Key(
        "data",
        FOLDER,
        "Folder of the prepared data sets.",
        free_on_resume=True,
        per_host=True,
    ),
    "data.source": Key(
        "records",
        one_of("records", "store", "device"),
        "`records` decodes images in every epoch; `store` reads the pixel store; `device` also "
        "keeps it in device memory.",
        free_on_resume=True,
    ),
    "data.image_size": Key(256, COUNT.at_most(4096), "Side of the prepared images, in pixels."),
    "data.crop_size": Key(
        None, COUNT.optional, "Side of the crops, in pixels. Unset: the network's own."
    ),
    "data.normalization": Key(
        "mean_image",
        one_of("mean_image", "torchvision"),
        "`mean_image` subtracts the training split's mean image; `torchvision` uses channel means "
        "and standard deviations.",
    ),
    "data.threads": Key(
        None,
        COUNT.at_most(4096).optional,
        "Threads that prepare batches. Unset: one per usable core.",
        free_on_resume=True,
        per_host=True,
    ),
    "data.max_megapixels": Key(
        64.0,
        POSITIVE.at_most(MOST_MEGAPIXELS),
        "Images with more megapixels are refused. Decoding one of 64 takes up to 1 GB.",
        free_on_resume=True,
        added_later=True,
    ),
    "augment.crop": Key(
        "random",
        TEXT,
        "Training crops: `random` of a fixed size, `random_resized` as torchvision's, or `center`.",
    ),
    "augment.smallest_area": Key(
        0.08,
        replace(SHARE, above=0),
        "`random_resized`: smallest crop area, as a fraction of the image.",
    ),
    "augment.largest_ratio": Key(
        4 / 3, replace(NUMBER, least=1), "`random_resized`: largest ratio of width to height."
    ),
    "augment.flip": Key(True, SWITCH, "Mirror half of the training images."),
    "augment.group_size": Key(
        1, COUNT, "Number of consecutive images that share one crop and flip. The 2012 code: 32."
    ),
    "augment.color_noise": Key(
        0.1,
        NUMBER,
        "Standard deviation of the PCA colour noise, as a multiple of the data's own. 0: none.",
    ),
    "augment.color_noise_until": Key(
        None, POSITIVE_EPOCHS.optional, "Epoch at which the colour noise ends. Unset: never."
    ),
    "augment.color_rescale": Key(
        True,
        SWITCH,
        "Divide by `1 + color_noise`, as the 2012 code does and the paper's text does not.",
    ),
    "optimizer.name": Key(
        "krizhevsky_sgd",
        TEXT,
        "Update rule: `krizhevsky_sgd`, `pytorch_sgd` or `lars` (the equations: "
        "`alexnet_jax/training/optimizer.py`).",
    ),
    "optimizer.momentum": Key(0.9, replace(NUMBER, below=1), "Momentum."),
    "optimizer.weight_decay": Key(0.0005, NUMBER, "Weight decay."),
    "optimizer.bias_rate_multiplier": Key(
        2.0, NUMBER, "Learning rate of biases, as a multiple of that of kernels."
    ),
    "optimizer.bias_schedule": Key(
        "same",
        one_of("same", "constant", "halfway"),
        "Learning rate of biases over time: `same` as kernels, `constant`, or divided once by "
        "`bias_decay`, `halfway` through the run.",
    ),
    "optimizer.bias_decay": Key(
        10.0, POSITIVE, "`bias_schedule=halfway`: divisor of the biases' learning rate."
    ),
    "optimizer.trust_coefficient": Key(
        0.001,
        POSITIVE,
        "`lars`: fraction of its norm by which a tensor moves at learning rate 1.",
        added_later=True,
    ),
    "optimizer.adapt_biases": Key(
        True,
        SWITCH,
        "`lars`: biases and scales adapt and decay as kernels do.",
        added_later=True,
    ),
    "schedule.name": Key(
        "staircase_exponential",
        TEXT,
        "Learning-rate schedule: `constant`, `step_decay`, `staircase_exponential`, `polynomial` "
        "or `plateau`.",
    ),
    "schedule.learning_rate": Key(0.01, POSITIVE, "Learning rate of kernels at the start."),
    "schedule.decay": Key(
        250.0, POSITIVE, "`staircase_exponential`: first learning rate divided by the last."
    ),
    "schedule.power": Key(
        2.0,
        POSITIVE,
        "`polynomial`: power of the fraction of the run that is left.",
        added_later=True,
    ),
    "schedule.warmup_epochs": Key(
        0.0, EPOCHS, "Epochs of linear warm-up, before any schedule.", added_later=True
    ),
    "schedule.warmup_start": Key(
        0.0,
        SHARE,
        "Learning rate at which warm-up starts, as a fraction of the full rate.",
        added_later=True,
    ),
    "schedule.boundaries": Key(
        (25, 51, 79),
        list_of(POSITIVE_EPOCHS),
        "`step_decay`: epochs at which the learning rate is multiplied by `factor`.",
    ),
    "schedule.boundary_steps": Key(
        (), list_of(POSITIVE_EPOCHS), "`step_decay`: the same in steps, instead of epochs."
    ),
    "schedule.factor": Key(
        0.1,
        POSITIVE.at_most(1000),
        "`step_decay` and `plateau`: what multiplies the learning rate.",
    ),
    "schedule.patience": Key(
        3,
        COUNT,
        "`plateau`: evaluations without improvement before the learning rate drops.",
    ),
    "schedule.threshold": Key(
        0.001, NUMBER, "`plateau`: relative fall of the error that counts as an improvement."
    ),
    "schedule.drops": Key(3, COUNT, "`plateau`: number of drops at most."),
    "schedule.conv1_boundaries": Key(
        (), list_of(EPOCHS), "Epochs at which the learning rate of conv1 takes `conv1_factors`."
    ),
    "schedule.conv1_factors": Key(
        (),
        list_of(NUMBER),
        "Learning rate of conv1 from each boundary on, as a multiple of the others'. 0 freezes it.",
    ),
    "schedule.output_boundaries": Key(
        (), list_of(EPOCHS), "The same for the output layer, with `output_factors`."
    ),
    "schedule.output_factors": Key((), list_of(NUMBER), "The same for the output layer."),
    "train.batch_size": Key(128, COUNT, "Images per step, over all devices."),
    "train.microbatch_size": Key(
        None,
        COUNT.optional,
        "Images computed at once; gradients are accumulated. Unset: the whole batch.",
        free_on_resume=True,
        added_later=True,
    ),
    "train.epochs": Key(90.0, POSITIVE_EPOCHS.optional, "Length of the run."),
    "train.steps": Key(None, COUNT.optional, "Length of the run in steps, instead of epochs."),
    "train.seed": Key(0, Rule((int,), least=0, most=2**32 - 1), "Seeds every random draw."),
    "train.init_from": Key(
        None,
        FOLDER.optional,
        "Workdir of the run or import whose parameters this run starts from.",
    ),
    "train.init_checkpoint": Key(
        None,
        TEXT.optional,
        "Which of its checkpoints: `best`, `latest` or a step. Unset: the best, else the latest.",
        added_later=True,
    ),
    "train.deterministic": Key(
        False,
        SWITCH,
        "Use deterministic operations on GPUs, where the fastest ones are not.",
        free_on_resume=True,
    ),
    "eval.every_epochs": Key(
        1.0, POSITIVE.optional, "Epochs between evaluations.", free_on_resume=True
    ),
    "eval.every_steps": Key(
        None, COUNT.optional, "Steps between evaluations, instead of epochs.", free_on_resume=True
    ),
    "eval.batch_size": Key(
        128, COUNT, "Images per evaluation batch, over all devices.", free_on_resume=True
    ),
    "checkpoint.every_epochs": Key(
        0.25, POSITIVE.optional, "Epochs between checkpoints.", free_on_resume=True
    ),
    "checkpoint.every_steps": Key(
        None, COUNT.optional, "Steps between checkpoints, instead of epochs.", free_on_resume=True
    ),
    "parallel.layout": Key(
        "data",
        one_of("data", "hybrid", "columns", "fsdp"),
        "How batch and parameters are divided over devices (docs/scaling.md).",
        free_on_resume=True,
    ),
    "parallel.model_axis": Key(
        None,
        COUNT.optional,
        "Devices that share one copy of the parameters. Unset: the layout's own choice.",
        free_on_resume=True,
        added_later=True,
    ),
    "parallel.processes": Key(
        None,
        COUNT.optional,
        "Number of processes that must join. Unset: as many as were started.",
        free_on_resume=True,
        added_later=True,
    ),
    "parallel.devices": Key(
        None,
        COUNT.optional,
        "Number of devices that they must have in total. Unset: any.",
        free_on_resume=True,
        added_later=True,
    ),
    "parallel.initialization_timeout": Key(
        300, COUNT, "Seconds to wait for all processes.", free_on_resume=True, added_later=True
    ),
    "parallel.heartbeat_timeout": Key(
        30,
        COUNT,
        "Seconds of silence after which a process counts as dead.",
        free_on_resume=True,
        added_later=True,
    ),
    "parallel.shutdown_timeout": Key(
        60,
        COUNT,
        "Seconds in which all processes must have ended.",
        free_on_resume=True,
        added_later=True,
    ),
    "log.every_steps": Key(100, COUNT, "Steps between lines of the log.", free_on_resume=True),
    "log.stuck_after_steps": Key(
        10_000,
        COUNT.optional,
        "Steps after which a loss that has not fallen is warned about. Unset: never.",
        free_on_resume=True,
    ),
}


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
    """Raise UserError, naming the nearest, unless `key` ("train.seed") is one of a config's."""
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
