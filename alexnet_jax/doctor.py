"""Show what a config describes, before the run: the network, layer by layer.

  python -m alexnet_jax.doctor --config=configs/imagenet.py
  python -m alexnet_jax.doctor --config=configs/imagenet.py --config.model.name=owt

Products are multiply-adds of a forward pass for one image; a training step takes about three times
as many.
"""

from collections.abc import Sequence

from ml_collections import config_flags

from alexnet_jax import command_line
from alexnet_jax.errors import UserError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/demo.py.")


def main(arguments: Sequence[str]) -> None:
    """Print the network's table."""
    if arguments:
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; flags begin with --")
    from alexnet_jax.models.table import describe_layers, format_layers
    from alexnet_jax.training.configuration import check_config
    from alexnet_jax.training.network import make_model

    config = _CONFIG.value
    check_config(config)
    model = make_model(config)
    changes = f" with {', '.join(config.model.changes)}" if config.model.changes else ""
    print(f"{config.model.name}{changes}: {model.spec.source}")
    print(f"crops of {config.data.crop_size} pixels\n")
    print(format_layers(describe_layers(model, config.data.crop_size)))


if __name__ == "__main__":
    command_line.run(main, required=("config",))
