import math

import pytest
from changed_config import change

from alexnet_jax.config import default_config
from alexnet_jax.config.checks import check_config
from alexnet_jax.errors import UserError


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.batch_size", 0, "train.batch_size=0 must be above 0"),
        ("train.batch_size", -128, "train.batch_size=-128 must be above 0"),
        ("train.batch_size", 1.5, "train.batch_size=1.5 should be int"),
        ("train.batch_size", True, "train.batch_size=True should be int"),
        ("train.epochs", -1.0, "train.epochs=-1.0 must be above 0"),
        ("train.steps", 0, "train.steps=0 must be above 0"),
        ("train.seed", -1, "train.seed=-1 must not be below 0"),
        ("data.image_size", 0, "data.image_size=0 must be above 0"),
        ("data.crop_size", -224, "data.crop_size=-224 must be above 0"),
        ("data.crop_size", 300, "crop_size=300 is larger than config.data.image_size=256"),
        ("schedule.learning_rate", math.nan, "learning_rate=nan is not a finite number"),
        ("schedule.learning_rate", math.inf, "learning_rate=inf is not a finite number"),
        ("optimizer.momentum", 1.0, "momentum=1.0 must be below 1"),
        ("optimizer.weight_decay", math.nan, "weight_decay=nan is not a finite number"),
        ("parallel.layout", "rows", "parallel.layout='rows'; the known ones: data, hybrid"),
        ("model.dtype", "float16", "model.dtype='float16'; the known ones: float32, bfloat16"),
        ("schedule.warmup_start", 1.5, "warmup_start=1.5 must not be above 1"),
        ("train.init_checkpoint", "newest", "'newest' should be best, latest or a number of steps"),
        ("schedule.warmup_epochs", -1.0, "warmup_epochs=-1.0 must not be below 0"),
        ("schedule.power", 0.0, "schedule.power=0.0 must be above 0"),
        ("optimizer.trust_coefficient", 0.0, "trust_coefficient=0.0 must be above 0"),
        ("augment.smallest_area", 1.5, "augment.smallest_area=1.5 must not be above 1"),
        ("augment.largest_ratio", 0.5, "augment.largest_ratio=0.5 must not be below 1"),
        ("train.epochs", None, "set config.train.steps or config.train.epochs"),
        # Values that passed, and ended in a traceback later.
        ("train.seed", 2**32, "train.seed=4294967296 must not be above 4,294,967,295"),
        ("train.seed", int(1e30), "train.seed=1000000000000000019884624838656 must not be above"),
        ("train.steps", 10**10, "train.steps=10000000000 must not be above 2,147,483,647"),
        ("schedule.warmup_epochs", 1e10, "warmup_epochs=10000000000.0 must not be above 2,147,"),
        ("schedule.boundaries", (25, 1e10), "boundaries=10000000000.0 must not be above 2,147,"),
        ("optimizer.weight_decay", 10**40, "weight_decay=1.* must not be above 1e.30"),
        ("schedule.factor", 1e200, "schedule.factor=1e.200 must not be above 1,000"),
        ("model.num_classes", 2**31, "num_classes=2147483648 must not be above 16,777,216"),
        ("data.image_size", 200_000, "data.image_size=200000 must not be above 4,096"),
        ("data.max_megapixels", 0.0, "data.max_megapixels=0.0 must be above 0"),
        ("data.max_megapixels", 179.0, "data.max_megapixels=179.0 must not be above 178"),
        ("data.dir", "d" * 5000, "config.data.dir has 5,000 bytes, ddd.*; 4,095 at most"),
        ("data.dir", "a\0b", "data.dir='a.x00b' holds a null character"),
        ("data.name", "\udcff", "data.name='.udcff' is not UTF-8"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(UserError, match=message):
        check_config(change(key, value))


def test_a_missing_key_is_named():
    config = default_config()
    del config.train.seed
    with pytest.raises(UserError, match=r"config.train.seed is missing"):
        check_config(config)


def test_an_integer_that_python_refuses_to_print_is_refused():
    with pytest.raises(UserError, match=r"train.steps has 16,610 bits; 256 at most"):
        check_config(change("train.steps", 10**5000))


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_that_draws_differently_is_taken(seed):
    check_config(change("train.seed", seed))


@pytest.mark.parametrize("boundaries", [(1, "a"), (float("nan"),), (-1,)])
def test_boundaries_are_epochs(boundaries):
    with pytest.raises(UserError, match="schedule.boundaries"):
        check_config(change("schedule.boundaries", boundaries))
