"""Show what a config describes, before the run: the network, layer by layer.

  python -m alexnet_jax.doctor --config=configs/imagenet.py
  python -m alexnet_jax.doctor --config=configs/imagenet.py --config.model.name=owt
  python -m alexnet_jax.doctor --config=configs/imagenet.py --devices=64

With --devices, what each layout would keep and send on so many devices; none of them need be there.
Products are multiply-adds of a forward pass for one image; a training step takes about three times
as many.
"""

from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from alexnet_jax import command_line
from alexnet_jax.errors import UserError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/demo.py.")
_JSON = flags.DEFINE_bool("json", False, "Print JSON instead of a table.")
_DEVICES = flags.DEFINE_integer(
    "devices", None, "Compile for so many devices and tell what they send.", lower_bound=2
)
_PER_MACHINE = flags.DEFINE_integer(
    "devices_per_machine", 8, "With --devices: how many share a machine.", lower_bound=1
)
_LINK_GBPS = flags.DEFINE_float(
    "link_gbps", 100.0, "With --devices: what a device sends in a second, in gigabits.", 0.001
)


def main(arguments: Sequence[str]) -> None:
    """Print the network's table."""
    if arguments:
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; flags begin with --")
    from alexnet_jax.models.table import describe_layers, format_layers
    from alexnet_jax.scaling import report
    from alexnet_jax.training.configuration import check_config
    from alexnet_jax.training.network import make_model

    config = _CONFIG.value
    check_config(config)
    if _DEVICES.value:
        print(report(config, _DEVICES.value, _PER_MACHINE.value, _LINK_GBPS.value, _JSON.value))
        return
    model = make_model(config)
    changes = f" with {', '.join(config.model.changes)}" if config.model.changes else ""
    print(f"{config.model.name}{changes}: {model.spec.source}")
    print(f"crops of {config.data.crop_size} pixels\n")
    print(format_layers(describe_layers(model, config.data.crop_size)))


if __name__ == "__main__":
    command_line.run(main, required=("config",))
