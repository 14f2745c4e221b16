"""Facts about its data that a run stores in its workdir before the first step.

A resumed run reads them from there and compares them with the data, which may have changed.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.runs.preprocessing_file import load_preprocessing, save_preprocessing
from alexnet_jax.system.atomic_write import atomic_write

FILE, CLASSES = "data.json", "classes.json"
_NAMED = 3  # Classes that a message names before it only counts them.
_TOLERANCE = 0.01  # Statistics computed on another machine differ by float32's rounding.


@dataclass(frozen=True, eq=False)
class DataFacts:
    """What the numbers of a run depend on besides its config."""

    examples: int  # Training images.
    class_names: list[str]  # Of the network's outputs, by label.
    data_names: list[str]  # Of the same classes in the data; others only for imported weights.
    preprocessing: Preprocessing
    fingerprint: str | None  # Of the records; None if unknown.
    channel_means: np.ndarray  # float32 [3], of the data's mean image, RGB.
    pca_eigenvectors: np.ndarray  # float32 [3, 3], as in `Statistics`.
    pca_std: np.ndarray  # float32 [3], as in `Statistics`.


def find_facts(
    pixels: ImageSource, statistics: Statistics, preprocessing: Preprocessing
) -> DataFacts:
    """Return the facts of a run that starts on these data."""
    return DataFacts(
        examples=len(pixels),
        class_names=list(pixels.class_names),
        data_names=list(pixels.class_names),
        preprocessing=preprocessing,
        fingerprint=pixels.fingerprint,
        channel_means=statistics.mean_image.mean((0, 1), np.float64).astype(np.float32),
        pca_eigenvectors=statistics.pca_eigenvectors,
        pca_std=statistics.pca_std,
    )


def save_facts(facts: DataFacts, workdir: Path) -> None:
    """Write preprocessing.npz, classes.json and, last, data.json."""
    save_preprocessing(facts.preprocessing, workdir)
    save_class_names(facts.class_names, workdir)
    same = facts.data_names == facts.class_names
    values = {
        "examples": facts.examples,
        **({} if same else {"class_names": facts.data_names}),
        "fingerprint": facts.fingerprint,
        "channel_means": facts.channel_means.tolist(),
        "color_axes": facts.pca_eigenvectors.tolist(),
        "color_std": facts.pca_std.tolist(),
    }
    atomic_write(workdir / FILE, json.dumps(values, indent=2) + "\n")


def has_facts(workdir: Path) -> bool:
    """Return whether a run, or an import of weights, wrote preprocessing and class names."""
    return all((workdir / name).exists() for name in ("preprocessing.npz", CLASSES))


def keep_facts(workdir: Path, found: DataFacts, image_size: int) -> tuple[DataFacts, list[str]]:
    """Return the facts with which the run in `workdir` resumes, and how the data have changed.

    A run whose data have changed takes over all but its preprocessing and class names, which belong
    to its parameters.

    Raises:
        UserError: a file is damaged, or the images have another size.
    """
    own = replace(
        found,
        preprocessing=load_preprocessing(workdir),
        class_names=load_class_names(workdir, len(found.class_names)),
    )
    kept = replace(own, **_load_data_json(workdir, len(found.class_names)))
    check_image_size(kept.preprocessing, image_size, str(workdir))
    changes = _describe_changes(kept, found)
    if changes:
        return own, changes
    return replace(kept, fingerprint=kept.fingerprint or found.fingerprint), []


def check_image_size(preprocessing: Preprocessing, image_size: int, workdir: str) -> None:
    """Raise UserError if the mean image of `workdir` does not have the size of the images."""
    size = len(preprocessing.mean)
    if size != image_size:
        raise UserError(
            f"{workdir} was trained on images of {size} pixels, not {image_size}: its mean image "
            f"does not fit; give --config.data.image_size={size}"
        )


def check_same_classes(workdir: Path, pixels: ImageSource) -> None:
    """Raise UserError if the data's classes are not those that the run in `workdir` learned.

    Nothing is compared for imported weights, whose training data are unknown.
    """
    saved = _load_data_json(workdir, pixels.num_classes)
    changes = _describe_names(saved["data_names"], pixels.class_names) if saved else []
    if changes:
        raise UserError(
            f"{pixels.directory} has other classes than the data that {workdir} was trained on "
            f"({changes[0]}), so its labels do not match the network's outputs; give those data "
            "with --data_dir"
        )


def _describe_changes(kept: DataFacts, found: DataFacts) -> list[str]:
    changes = []
    if kept.examples != found.examples:
        changes.append(f"{kept.examples:,} training images -> {found.examples:,}")
    changes += _describe_names(kept.class_names, found.class_names)
    mean = np.abs(kept.channel_means - found.channel_means)
    if mean.max() > _TOLERANCE:
        changes.append(f"the mean image differs by {mean.max():.2f} of 255")
    if not np.allclose(kept.pca_std, found.pca_std, rtol=_TOLERANCE, atol=_TOLERANCE):
        old, new = ("/".join(f"{number:.2f}" for number in each.pca_std) for each in (kept, found))
        changes.append(f"the colors' deviations {old} -> {new}")
    known = None not in (kept.fingerprint, found.fingerprint)
    if known and kept.fingerprint != found.fingerprint and not changes:
        changes.append("the records are other ones: their splits, shards or bytes differ")
    return changes


def _describe_names(kept: list[str], found: list[str]) -> list[str]:
    differing = [
        f"class {label} {old!r} -> {new!r}"
        for label, (old, new) in enumerate(zip(kept, found, strict=True))
        if old != new
    ]
    more = f" and {len(differing) - _NAMED} more classes" if len(differing) > _NAMED else ""
    return [", ".join(differing[:_NAMED]) + more] if differing else []


def save_class_names(names: list[str], workdir: Path) -> None:
    """Write classes.json."""
    atomic_write(workdir / CLASSES, json.dumps(names) + "\n")


def load_class_names(workdir: Path, count: int) -> list[str]:
    """Read the names of a workdir's `count` classes; UserError if the file is damaged."""
    path = workdir / CLASSES
    try:
        return _names(json.loads(path.read_text()), count)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it from a copy, or remove it: the command "
            f"that trained {workdir}, without its result.json, rewrites it"
        ) from error


def _load_data_json(workdir: Path, num_classes: int) -> dict[str, Any]:
    """Return fields of `DataFacts` from data.json; {} for imported weights and early runs."""
    path = workdir / FILE
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text())
        names = values.get("class_names")
        if names is None:
            names = load_class_names(workdir, num_classes)
        return {
            "data_names": _names(names, num_classes),
            "examples": int(values["examples"]),
            "fingerprint": values["fingerprint"],
            "channel_means": _numbers(values["channel_means"], 3),
            "pca_eigenvectors": _numbers(values["color_axes"], 3, 3),
            "pca_std": _numbers(values["color_std"], 3),
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); restore it from a copy, or "
            "remove it: then the run takes these facts from the data as they are now"
        ) from error


def _names(values: Any, count: int) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise ValueError("it holds no list of names")
    if len(values) != count:
        raise ValueError(f"it holds {len(values):,} names for {count:,} classes")
    return values


def _numbers(values: Any, *shape: int) -> np.ndarray:
    numbers = np.array(values, np.float32)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"{values!r} are not {'x'.join(map(str, shape))} numbers")
    return numbers
