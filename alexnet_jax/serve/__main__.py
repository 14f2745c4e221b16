"""Serve a local web page for trying out a trained network.

  python -m alexnet_jax.serve --workdir=runs/demo

Open the address that it prints, and drop an image. The page shows the most probable classes, what
each of the ten crops says, conv1's responses, the nearest training images and a saliency map.
Nothing leaves the machine. Other machines can reach the page only if --host says so; it has no
passwords.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import MachineError, UserError

_WORKDIR = flags.DEFINE_string("workdir", "", "The folder of a run or of imported weights.")
_CHECKPOINT = cli.define_checkpoint("Which checkpoint")
cli.define_recipe()
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The folder of the data set, if it has moved.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "The address to listen on; 0.0.0.0: all.")
_PORT = flags.DEFINE_integer(
    "port", 8012, "The port to listen on; 0: any free one.", lower_bound=0, upper_bound=65535
)
_MEGABYTES = flags.DEFINE_integer(
    "max_megabytes", 20, "Largest uploaded file.", lower_bound=1, upper_bound=1000
)
_TRAINING_IMAGES = flags.DEFINE_integer(
    "training_images", 2000, "Training images among which the nearest are sought.", lower_bound=1
)
_LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "::1"]


def main(arguments: Sequence[str]) -> None:
    """Serve the page until Ctrl-C."""
    cli.refuse_arguments(arguments)
    try:
        import uvicorn

        from alexnet_jax.serve.app import make_app
    except ModuleNotFoundError as error:
        raise UserError(
            f"serve needs {error.name}: pip install 'alexnet-jax[serve]' (in a clone: "
            "-e '.[serve]')"
        ) from error
    from alexnet_jax.serve.listening import open_socket

    socket = open_socket(_HOST.value, _PORT.value)
    with socket:
        app = make_app(
            Path(_WORKDIR.value),
            checkpoint=_CHECKPOINT.value,
            data_dir=_DATA_DIR.value or None,
            training_images=_TRAINING_IMAGES.value,
            max_bytes=_MEGABYTES.value * 1_000_000,
            hosts=_LOOPBACK if _HOST.value in _LOOPBACK else ["*"],
        )
        host, port = socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"open http://{shown}:{port}/ in a browser; Ctrl-C stops", flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        server.run(sockets=[socket])
        if not server.started:
            raise MachineError(f"cannot serve on {host}:{port}")


if __name__ == "__main__":
    cli.run(main, required=("workdir",))
