"""The recipes of `configs/`, by name, in a clone or an installed package."""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError

_PACKAGE = Path(__file__).parents[1]
# A wheel carries them inside the package; a clone has them beside it.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def known_recipes() -> dict[str, Path]:
    """Return the files of the recipes by name ("demo")."""
    folder = next((folder for folder in _FOLDERS if (folder / "imagenet.py").is_file()), None)
    paths = sorted(folder.glob("[a-z]*.py")) if folder else []
    return {path.stem: path for path in paths}


def find_recipe(name: str, flag: str = "--config") -> Path:
    """Return the file that a flag names: the user's own, or a recipe by name.

    Args:
        name: Recipe, such as "my_config.py", "demo", or "configs/demo.py" in any folder.
        flag: Flag, for the error.

    Raises:
        UserError: there is no such file or recipe.
    """
    path = Path(name)
    if path.is_file():
        return path
    recipes = known_recipes()
    if name in recipes:
        return recipes[name]
    if path.parent == Path("configs") and path.suffix == ".py" and path.stem in recipes:
        return recipes[path.stem]
    raise UserError(
        f"{flag}={name}: there is no such file, and no such recipe; the known ones: "
        f"{', '.join(recipes)}"
    )


def get_recipe(name: str) -> ConfigDict:
    """Return the config of a recipe by name; UserError for an unknown one."""
    recipes = known_recipes()
    if name not in recipes:
        raise UserError(f"no recipe {name!r}; the known ones: {', '.join(recipes)}")
    return load_recipe(recipes[name])


def load_recipe(path: Path) -> ConfigDict:
    """Return what `get_config()` of a recipe's file returns."""
    spec = importlib.util.spec_from_file_location(f"alexnet_jax_recipe_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()
