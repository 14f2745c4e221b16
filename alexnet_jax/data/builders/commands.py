"""Commands for messages: how to prepare missing data."""

from pathlib import Path

from alexnet_jax.data.builders import DATA_SETS
from alexnet_jax.data.dataset_info import read_info
from alexnet_jax.data.pixel_store.manifest import MANIFEST, Manifest
from alexnet_jax.errors import UserError


def dataset_option(name: str) -> str:
    """Return what --dataset of `prepare` calls the data set `name`."""
    return name if name.partition("/")[0] in DATA_SETS else f"tfds:{name}"


def missing(data_dir: str | Path, name: str) -> UserError:
    """Return the error that says that there is no data set `name`, and how to make it."""
    there = f"no data set {name!r} in {data_dir}"
    configs = sorted(
        {path.parts[-3] for path in Path(data_dir, name).glob("*/*/dataset_info.json")}
    )
    if configs:
        return UserError(
            f"{there}: it has the configs {', '.join(configs)}; give {name}/{configs[0]}"
        )
    builder = DATA_SETS.get(name.partition("/")[0])
    if builder is None:
        return UserError(
            f"{there}; alexnet_jax.prepare can make {', '.join(DATA_SETS)}, TFDS others: "
            f"tensorflow_datasets.builder({name!r}, data_dir={str(data_dir)!r}, "
            "file_format='array_record').download_and_prepare()"
        )
    source = " --source=DIR" if builder.needs_source else ""
    return UserError(
        f"{there}; make it with: python -m alexnet_jax.prepare --dataset={name}{source} "
        f"--data_dir={data_dir}"
    )


def _data_set_name(directory: Path) -> str:
    with read_info(directory) as info:
        return "/".join(filter(None, [info["name"], info.get("configName")]))


def statistics_command(directory: Path, size: int) -> str:
    """Return the command that computes the statistics of the records, or store, in `directory`."""
    manifest = directory / MANIFEST
    if manifest.is_file():  # Of a pixel store.
        name, store, directory = Manifest.load(manifest).data_set, " --store_only", directory.parent
    else:
        name, store = _data_set_name(directory), ""
    # DATA_DIR/NAME/VERSION; a name that the description claims may have more parts than the path.
    data_dir = Path(*directory.parts[: -2 - name.count("/")])
    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(name)} --data_dir={data_dir} "
        f"--image_size={size}{store}"
    )
