"""How every front door starts: parse flags, run, turn a user's mistake into one line.

absl prints usage and exits with 1 for a wrong flag and for --help; a program that
people and scripts run should exit with 2 and 0.
"""

import os
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from alexnet_jax.errors import USER_ERROR_EXIT_CODE, UserError
from alexnet_jax.training.configuration import check_key


def run(main: Callable[[Sequence[str]], None], required: Sequence[str] = ()) -> None:
    """Run `main` with the arguments that are left after the flags.

    Args:
        main: receives the positional arguments.
        required: names of flags that must be given.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        if any(argument in ("--help", "-h", "-help", "--helpfull") for argument in argv[1:]):
            _print_help()
            sys.exit(0)
        try:
            _check_config_keys(argv)
            positional = flags.FLAGS(argv)
            if "config" in flags.FLAGS and flags.FLAGS["config"].value is not None:
                flags.FLAGS["config"].value.to_dict()  # Raises if the file could not be loaded.
            missing = [f"--{name}" for name in required if not flags.FLAGS[name].value]
            if missing:
                raise UserError(f"{', '.join(missing)} must be given; see --help")
        except (
            UserError,
            flags.Error,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            OSError,
        ) as error:
            # A config file is loaded, and its overrides applied, while flags are parsed.
            raise SystemExit(_complain(error)) from None
        return positional

    def guarded(argv: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # Orbax tells of every file it touches.
        try:
            main(argv[1:])
        except UserError as error:
            raise SystemExit(_complain(error)) from None
        except BrokenPipeError:
            # Whoever read the output has seen enough; nothing more may be written to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    app.run(guarded, flags_parser=parse)


def _check_config_keys(argv: Sequence[str]) -> None:
    """Raise UserError for --config.group.key that no config has."""
    for argument in argv[1:]:
        key = argument.lstrip("-").partition("=")[0]
        if key.startswith("config."):
            check_key(key.removeprefix("config."))


def _complain(error: object) -> int:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return USER_ERROR_EXIT_CODE


def _print_help() -> None:
    front_door = sys.modules["__main__"]
    print((front_door.__doc__ or "").strip(), end="\n\nFlags:\n")
    for flag in flags.FLAGS.get_key_flags_for_module(front_door):
        default = f" (default: {flag.default})" if flag.default not in (None, [], "") else ""
        print(f"  --{flag.name}: {flag.help}{default}")
