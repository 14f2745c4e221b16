"""Shared entry code of all commands: parse flags, run, print user errors as one line.

absl prints usage and exits with 1 for a wrong flag and for --help; here they exit with 2 and 0.
"""

import difflib
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from alexnet_jax.config.checks import BEST, LATEST, check_config, is_checkpoint_name
from alexnet_jax.config.recipes import find_recipe, known_recipes, load_recipe
from alexnet_jax.config.schema import SCHEMA, check_key
from alexnet_jax.config_origins import find_origins, format_origins
from alexnet_jax.errors import MachineError, UserError, describe_failure, print_error
from alexnet_jax.system.console import install_console, output_error
from alexnet_jax.system.local_path import check_folder, check_local
from alexnet_jax.system.process import collect_garbage_rarely, silence_orbax, silence_pillow

flags.disclaim_key_flags()  # --help lists those defined below as the command's own.

# Flags that hold paths, and their checks.
_PATHS = {
    "workdir": check_folder,
    "data_dir": check_folder,
    **dict.fromkeys(("source", "weights", "program", "out", "figure"), check_local),
}

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    tuple: "a list, such as '(1, 2)'",
}


def run(
    main: Callable[[Sequence[str]], None],
    required: Sequence[str] = (),
    prints_result: bool = False,
) -> None:
    """Run `main` with the positional arguments; `required` are flags that must be given.

    With `prints_result` the output is the result: losing part of it is a failure.
    """
    install_console()
    collect_garbage_rarely()
    silence_pillow()

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
            # During training Ctrl-C saves first; here there is nothing to save.
            print("stopped by SIGINT", file=sys.stderr)
            raise SystemExit(128 + signal.SIGINT) from None
        lost = output_error() if prints_result else None
        if isinstance(lost, BrokenPipeError):
            sys.exit(128 + signal.SIGPIPE)  # Without a message, as other programs do.
        if lost is not None:
            sys.exit(print_error(MachineError(f"standard output: {lost.strerror}")))

    app.run(guarded, flags_parser=lambda argv: _parse(argv, required))


def define_checkpoint(which: str) -> flags.FlagHolder:
    """Define --checkpoint; None stands for the best, or the latest if there is no best."""
    holder = flags.DEFINE_string(
        "checkpoint", None, f"{which}: {BEST}, {LATEST} or its step. Unset: {BEST}, else {LATEST}."
    )
    flags.register_validator(
        holder,
        lambda text: text is None or is_checkpoint_name(text),
        f"should be {BEST}, {LATEST} or a number of steps",
    )
    return holder


def define_recipe() -> None:
    """Define --recipe, for a command that reads workdirs; the files run when flags are parsed."""
    flags.DEFINE_multi_string(
        "recipe",
        [],
        "The file of your own recipe, if it registers the network, the optimizer or the schedule; "
        "may be given several times.",
    )


def define_print_config() -> None:
    """Define --print_config, for a command with --config; it needs no other flag."""
    flags.DEFINE_bool(
        "print_config", False, "Print every config value and where it is set, and exit."
    )


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError if there are positional arguments."""
    if arguments:
        first = arguments[0]
        hint = "flags begin with --"
        if "config" in flags.FLAGS and (first in known_recipes() or first.endswith(".py")):
            hint = f"did you mean --config={first}?"
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; {hint}")


def config_arguments(flag: flags.FlagHolder) -> list[str]:
    """Return the arguments that give a config flag its value, as a user would type them."""
    file, colon, variant = config_flags.get_config_filename(flags.FLAGS[flag.name]).partition(":")
    overrides = config_flags.get_override_values(flags.FLAGS[flag.name])
    return [
        f"--{flag.name}={_recipe_name(file)}{colon}{variant}",
        *(f"--{flag.name}.{key}={value}" for key, value in overrides.items()),
    ]


def _print_config(missing: Sequence[str]) -> None:
    if "--config" in missing:
        raise UserError("--config must be given; see --help")
    config, flag = flags.FLAGS["config"].value, flags.FLAGS["config"]
    check_config(config)
    file, _, variant = config_flags.get_config_filename(flag).partition(":")
    overrides, base = config_flags.get_override_values(flag), load_recipe(Path(file))
    origins = find_origins(config, base, overrides, _recipe_name(file), variant)
    print(format_origins(config, origins))


def _recipe_name(file: str) -> str:
    path = Path(file)
    return f"configs/{path.name}" if path in known_recipes().values() else file


def _parse(argv: Sequence[str], required: Sequence[str]) -> list[str]:
    """Parse and check the flags; return the positional arguments, the program's name first."""
    if any(argument in ("--help", "-h", "-help", "--helpfull") for argument in argv[1:]):
        _print_help()
        sys.exit(0)
    try:
        silence_orbax()  # absl's logger would add to the errors of a config file.
        positional = flags.FLAGS(_find_config(argv))
        if "config" in flags.FLAGS and flags.FLAGS["config"].present:
            config = flags.FLAGS["config"].value
            if not isinstance(config, ConfigDict):
                raise UserError(
                    f"get_config() of the --config file returned {type(config).__name__}, no "
                    "ConfigDict"
                )
        if "recipe" in flags.FLAGS:
            for recipe in flags.FLAGS["recipe"].value or []:
                _run_recipe(recipe)
        for name in _PATHS.keys() & set(flags.FLAGS):
            value = flags.FLAGS[name].value or []
            for path in [value] if isinstance(value, str) else value:
                _PATHS[name](f"--{name}", path)
        for path in positional[1:]:
            check_local("argument", path)
        missing = [f"--{name}" for name in required if not flags.FLAGS[name].value]
        prints_config = "print_config" in flags.FLAGS and flags.FLAGS["print_config"].value
        if prints_config:
            _print_config(missing)
        elif missing:
            if "--config" in missing:
                refuse_arguments(positional[1:])  # One of them may be the config.
            raise UserError(f"{', '.join(missing)} must be given; see --help")
    except (UserError, flags.Error) as error:
        raise SystemExit(print_error(_explain(error))) from None
    # A config is code that runs here: it may raise anything, and its sys.exit(0) is a failure.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise SystemExit(print_error(f"the --config file {describe_failure(error)}")) from None
    if prints_config:
        sys.exit(0)
    return positional


def _run_recipe(name: str) -> None:
    """Run the code of a recipe, for what it registers."""
    path = find_recipe(name, "--recipe")
    try:
        load_recipe(path)
    except (Exception, SystemExit) as error:
        raise UserError(f"--recipe={name} {describe_failure(error)}") from error


def _explain(error: Exception) -> str:
    """Return the message of an error in the flags, with the flag that was probably meant."""
    # absl puts the traceback of a config that takes no ":variant" into the message.
    message = str(error).rstrip().rpartition("\n")[2]
    if isinstance(error, flags.UnrecognizedFlagError):
        nearest = _nearest_flag(error.flagname)
        return f"there is no flag --{error.flagname}" + (
            f"; did you mean {nearest}?" if nearest else "; see --help"
        )
    wrong = re.match(r"flag --config\.(\w+\.\w+)=(.*?): ", message)
    if wrong is not None and wrong[1] in SCHEMA:
        meant = _TYPE_NAMES[SCHEMA[wrong[1]].rule.types[0]]
        return f"--config.{wrong[1]}={wrong[2]} should be {meant}"
    return message


def _nearest_flag(name: str) -> str | None:
    """Return the flags, or config keys as flags, with the name nearest to `name`."""
    known = {flag.name: [f"--{flag.name}"] for flag in _key_flags()}
    if "config" in flags.FLAGS:
        for key in SCHEMA:
            for spelling in (key, key.partition(".")[2]):
                known.setdefault(spelling, []).append(f"--config.{key}")
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return " or ".join(known[nearest[0]]) if nearest else None


def _find_config(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the name of a recipe ("imagenet:original") replaced by its file.

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
        if not equals and index + 1 < len(argv):
            index, value = index + 1, argv[index + 1]
        name, colon, variant = value.partition(":")
        if name:
            path = find_recipe(name)
            found[index] = f"{'--config=' if equals else ''}{path}{colon}{variant}"
    return found


def _print_help() -> None:
    print((sys.modules["__main__"].__doc__ or "").strip(), end="\n\nFlags:\n")
    for flag in _key_flags():
        default = f" (default: {flag.default})" if flag.default not in (None, [], "") else ""
        meaning = flag.help.partition(";\n    repeat this option")[0]  # absl adds this.
        print(f"  --{flag.name}: {meaning}{default}")


def _key_flags() -> list[flags.Flag]:
    return flags.FLAGS.get_key_flags_for_module(sys.modules["__main__"])
