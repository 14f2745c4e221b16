"""The command `alexnet-jax COMMAND …`, or `python -m alexnet_jax COMMAND …`.

Each command runs a module, such as `alexnet_jax.main`, with the same flags and exit codes.
"""

import difflib
import runpy
import sys

from alexnet_jax import __version__
from alexnet_jax.errors import print_error

COMMANDS = {
    "train": ("alexnet_jax.main", "train a network, or resume a run, and evaluate it"),
    "prepare": ("alexnet_jax.prepare", "prepare a data set"),
    "evaluate": ("alexnet_jax.evaluate", "evaluate trained networks on the validation split"),
    "predict": ("alexnet_jax.predict", "print the most probable classes of images"),
    "features": ("alexnet_jax.features", "save the activations of layers for images"),
    "doctor": ("alexnet_jax.doctor", "measure what this machine will do with a config"),
    "report": ("alexnet_jax.report", "make a page with the results and pictures of runs"),
    "serve": ("alexnet_jax.serve", "try a trained network on a local web page"),
    "weights": ("alexnet_jax.weights", "import and export weights"),
    "sweep": ("alexnet_jax.sweep", "train one config many times and compare the results"),
}


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("--help", "-h", "help"):
        print("alexnet-jax COMMAND [--flag=value …]\n")
        for command, (_, meaning) in COMMANDS.items():
            print(f"  {command:10}{meaning}")
        print("\n`alexnet-jax COMMAND --help` lists the flags of a command.")
        print("`alexnet-jax --version` prints the version.")
        return
    if name == "--version":
        print(f"alexnet-jax {__version__}")
        return
    if name not in COMMANDS:
        mistake = f"no command {name!r}" if name else "give a command"
        if nearest := difflib.get_close_matches(name, COMMANDS, n=1):
            mistake += f", did you mean {nearest[0]}?"
        raise SystemExit(print_error(f"{mistake}; the known ones: {', '.join(COMMANDS)}"))
    sys.argv = [f"alexnet-jax {name}", *sys.argv[2:]]
    runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
