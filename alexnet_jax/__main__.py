"""`alexnet-jax COMMAND …`, or `python -m alexnet_jax COMMAND …`: every front door by name.

Each command is the module that `python -m` runs, with the same flags and exit codes.
"""

import runpy
import sys

from alexnet_jax.errors import UserError, print_error

COMMANDS = {
    "train": ("alexnet_jax.main", "train a network, or continue a run, and evaluate it"),
    "prepare": ("alexnet_jax.prepare", "prepare a data set"),
    "evaluate": ("alexnet_jax.evaluate", "evaluate trained networks on the validation split"),
    "predict": ("alexnet_jax.predict", "print the five most probable classes of images"),
    "doctor": ("alexnet_jax.doctor", "measure what this machine will do with a config"),
    "weights": ("alexnet_jax.weights", "import and export weights"),
}


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("--help", "-h", "help"):
        print(_help())
        return
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        mistake = f"no command {name!r}" if name else "give a command"
        raise SystemExit(print_error(UserError(f"{mistake}; the known ones: {known}")))
    module, _ = COMMANDS[name]
    sys.argv = [f"alexnet-jax {name}", *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _help() -> str:
    lines = [f"  {name:10}{meaning}" for name, (_, meaning) in COMMANDS.items()]
    return "\n".join(
        [
            "alexnet-jax COMMAND [--flag=value …]",
            "",
            *lines,
            "",
            "`alexnet-jax COMMAND --help` lists the flags of a command.",
        ]
    )


if __name__ == "__main__":
    main()
