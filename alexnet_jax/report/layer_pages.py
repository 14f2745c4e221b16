"""The units of each layer, as pictures: what excites them, and images made to excite them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from alexnet_jax.data.imagenet_names import english_name
from alexnet_jax.report.embedding import photo_uri, pixels_uri, sprite
from alexnet_jax.report.layer_statistics import LayerStatistics, describe_statistics
from alexnet_jax.report.maximization import maximize_units
from alexnet_jax.report.receptive_field import ReceptiveField, receptive_fields
from alexnet_jax.report.sample import Sample
from alexnet_jax.report.units import exciting_images, firing_rates
from alexnet_jax.runs.trained import TrainedNetwork

_UNITS_SHOWN = 12
_MAXIMIZED = 3
_PATCHES = 9
_PATCH_SIDE = 44  # Pixels on the page.


@dataclass(frozen=True)
class UnitView:
    """One unit with pictures.

    Attributes:
        number: in its layer.
        name: of the class, for units of the output layer, else "".
        rate: share of the images for which it is above 0.
        patches: data URI of the nine patches that excite it most.
        maximized: data URI of an image made to excite it; None where none was made.
    """

    number: int
    name: str
    rate: float
    patches: str
    maximized: str | None


@dataclass(frozen=True)
class LayerPage:
    """What the report shows of a layer."""

    statistics: LayerStatistics
    rates: list[float]  # Of all units, by number.
    field: int | None  # Side of what a unit sees, in pixels; None: the whole crop.
    shown: list[UnitView]


def make_layer_pages(trained: TrainedNetwork, sample: Sample) -> list[LayerPage]:
    """Return a page for each layer; its units are those that fire for the most images."""
    fields = receptive_fields(trained.network.model.spec)
    chosen = {
        name: np.argsort(-firing_rates(highest), kind="stable")[:_UNITS_SHOWN]
        for name, highest in sample.maxima.highest.items()
    }
    made = maximize_units(
        trained.network,
        trained.state.variables,
        trained.config.data.crop_size,
        {name: units[:_MAXIMIZED].tolist() for name, units in chosen.items()},
    )
    return [
        _layer_page(trained, sample, row, chosen[row.name], made[row.name], fields.get(row.name))
        for row in describe_statistics(trained, sample)
    ]


def _layer_page(
    trained: TrainedNetwork,
    sample: Sample,
    statistics: LayerStatistics,
    chosen: np.ndarray,
    made: np.ndarray,
    field: ReceptiveField | None,
) -> LayerPage:
    name = statistics.name
    rates = firing_rates(sample.maxima.highest[name])
    patches = _best_patches(sample, name, chosen, field)
    pictures = [_zoom_middle(image, field) for image in made]
    is_output = name == trained.network.model.spec.output_name
    shown = [
        UnitView(
            number=int(unit),
            name=english_name(trained.class_names[unit]) if is_output else "",
            rate=float(rates[unit]),
            patches=patches[place],
            maximized=pictures[place] if place < len(pictures) else None,
        )
        for place, unit in enumerate(chosen)
    ]
    return LayerPage(statistics, rates.tolist(), field.size if field else None, shown)


def _best_patches(
    sample: Sample, layer: str, units: np.ndarray, field: ReceptiveField | None
) -> list[str]:
    """Return, for each unit, the parts of nine images that excite it most, as one picture."""
    highest, place = sample.maxima.highest[layer], sample.maxima.place[layer]
    pictures = []
    for unit in units:
        images = exciting_images(highest[:, [unit]], _PATCHES)[0]
        tiles = [_patch(sample.crops[image], place[image, unit], field) for image in images]
        pictures.append(photo_uri(sprite(np.stack(tiles), across=3), quality=75))
    return pictures


def _patch(crop: np.ndarray, place: np.ndarray, field: ReceptiveField | None) -> np.ndarray:
    """Return what a unit sees of a crop, uint8 [side, side, 3]; grey where that is outside."""
    if field is None:
        return _resized(crop)
    top, left = field.window(int(place[0]), int(place[1]))
    margin = field.size
    padded = np.pad(crop, ((margin, margin), (margin, margin), (0, 0)), constant_values=128)
    top, left = top + margin, left + margin
    return _resized(padded[top : top + field.size, left : left + field.size])


def _resized(tile: np.ndarray) -> np.ndarray:
    side = (_PATCH_SIDE, _PATCH_SIDE)
    return np.asarray(Image.fromarray(tile).resize(side, Image.Resampling.BILINEAR))


def _zoom_middle(image: np.ndarray, field: ReceptiveField | None) -> str:
    """Return the part of a maximized image that its unit, in the middle of the map, sees."""
    side = min(len(image), field.size + 4) if field else len(image)
    start = (len(image) - side) // 2
    part = image[start : start + side, start : start + side]
    return pixels_uri(part) if side < 64 else photo_uri(part, 140)
