"""How every front door starts: parse flags, run, turn a user's mistake into one line.

absl prints usage and exits with 1 for a wrong flag and for --help; a program that
people and scripts run should exit with 2 and 0.
"""

import signal
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging
from ml_collections import ConfigDict

from alexnet_jax.config.checks import BEST, LATEST, is_checkpoint_name
from alexnet_jax.config.recipes import find_recipe
from alexnet_jax.config.schema import check_key
from alexnet_jax.console import install_console, output_error
from alexnet_jax.errors import MachineError, UserError, print_error
from alexnet_jax.local_path import check_folder, check_local
from alexnet_jax.process import collect_garbage_rarely, silence_orbax
from alexnet_jax.user_code import describe_failure

# Flags of front doors that hold paths, and how each is checked.
_PATHS = {"workdir": check_folder, "data_dir": check_folder, "source": check_local}


def run(
    main: Callable[[Sequence[str]], None],
    required: Sequence[str] = (),
    prints_result: bool = False,
) -> None:
    """Run `main` with the arguments that are left after the flags.

    Args:
        main: receives the positional arguments.
        required: names of flags that must be given.
        prints_result: what `main` prints is what it is for: where that is lost, it has failed.
    """
    install_console()
    collect_garbage_rarely()

    def parse(argv: Sequence[str]) -> list[str]:
        if any(argument in ("--help", "-h", "-help", "--helpfull") for argument in argv[1:]):
            _print_help()
            sys.exit(0)
        try:
            silence_orbax()  # absl's logger would add to what a config file does wrong.
            positional = flags.FLAGS(_find_config(argv))
            if "config" in flags.FLAGS and flags.FLAGS["config"].present:
                _check_config_type(flags.FLAGS["config"].value)
            _check_paths(positional[1:])
            missing = [f"--{name}" for name in required if not flags.FLAGS[name].value]
            if missing:
                raise UserError(f"{', '.join(missing)} must be given; see --help")
        except (UserError, flags.Error) as error:
            # absl puts the traceback of a config that takes no ":variant" into the message.
            raise SystemExit(print_error(str(error).rstrip().rpartition("\n")[2])) from None
        # A config is code, run here: it may raise anything, and its sys.exit(0) is no success.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            raise SystemExit(print_error(f"the --config file {describe_failure(error)}")) from None
        return positional

    def guarded(argv: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)
        silence_orbax()
        try:
            main(argv[1:])
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and not error.errno:
                raise
            raise SystemExit(print_error(error)) from None
        except KeyboardInterrupt:
            # While a run trains, Ctrl-C saves first; here there is nothing to save.
            print("stopped by SIGINT", file=sys.stderr)
            raise SystemExit(128 + signal.SIGINT) from None
        if prints_result:
            _require_output()

    app.run(guarded, flags_parser=parse)


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError if there are arguments beside flags."""
    if arguments:
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; flags begin with --")


def _require_output() -> None:
    """Exit with an error if a part of the output was lost."""
    error = output_error()
    if isinstance(error, BrokenPipeError):
        sys.exit(128 + signal.SIGPIPE)  # As any program whose reader has seen enough: no words.
    if error is not None:
        sys.exit(print_error(MachineError(f"standard output: {error.strerror}")))


def define_checkpoint(which: str) -> flags.FlagHolder:
    """Define --checkpoint, for which None stands for the best where there is one."""
    holder = flags.DEFINE_string(
        "checkpoint", None, f"{which}: {BEST}, {LATEST} or its step. Unset: {BEST}, else {LATEST}."
    )
    flags.register_validator(
        holder,
        lambda text: text is None or is_checkpoint_name(text),
        f"should be {BEST}, {LATEST} or a number of steps",
    )
    return holder


def _check_paths(positional: Sequence[str]) -> None:
    """Raise UserError where a flag or an argument that is a path holds what cannot be one."""
    for name in _PATHS.keys() & set(flags.FLAGS):
        value = flags.FLAGS[name].value or []
        for path in [value] if isinstance(value, str) else value:
            _PATHS[name](f"--{name}", path)
    for path in positional:
        check_local("argument", path)


def _find_config(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the file of a recipe in place of its name.

    Raises:
        UserError: there is no such recipe, or no config has such a key.
    """
    found = list(argv)
    for index, argument in enumerate(argv[1:], start=1):
        flag, equals, value = argument.lstrip("-").partition("=")
        if flag.startswith("config."):
            check_key(flag.removeprefix("config."))
        if flag != "config" or not argument.startswith("-"):
            continue
        if equals:
            found[index] = f"--config={_find_recipe_file(value)}"
        elif index + 1 < len(argv):
            found[index + 1] = _find_recipe_file(argv[index + 1])
    return found


def _find_recipe_file(value: str) -> str:
    """Turn "imagenet:original" into "/…/configs/imagenet.py:original"."""
    name, colon, variant = value.partition(":")
    return f"{find_recipe(name)}{colon}{variant}" if name else value


def _check_config_type(config: object) -> None:
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"get_config() of the --config file returned {type(config).__name__}, no ConfigDict"
        )


def _print_help() -> None:
    front_door = sys.modules["__main__"]
    print((front_door.__doc__ or "").strip(), end="\n\nFlags:\n")
    for flag in flags.FLAGS.get_key_flags_for_module(front_door):
        default = f" (default: {flag.default})" if flag.default not in (None, [], "") else ""
        print(f"  --{flag.name}: {flag.help}{default}")
