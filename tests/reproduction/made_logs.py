"""Logs whose numbers are chosen, for the tests of what is made of them."""

from alexnet_jax.reproduction.logs import Log, LoggedRun


def made_run(arm, seed, top1=0.2, center=None, train=(), rate=None, **more):
    """A finished run of 100 validation images."""
    result = {
        "seconds": 10.0,
        "center": {"top1_error": top1 if center is None else center, "count": 100},
        "ten_crop": {"top1_error": top1, "count": 100},
    }
    return LoggedRun(arm, seed, rate, result, list(train), [], **more)


def made_log(*runs, ensembles=()):
    """A log of the ablations: of ten classes, a line every 20 steps."""
    config = {"model.num_classes": 10, "log.every_steps": 20}
    return Log("ablations", "fractals/few", config, runs, ensembles)
