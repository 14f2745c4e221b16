"""What the report shows of each layer: statistics, what excites its units, and made images."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from alexnet_jax.data.imagenet.names import english_name
from alexnet_jax.report.embedding import photo_uri, pixels_uri, sheet_uri
from alexnet_jax.report.maximization import maximize_units
from alexnet_jax.report.receptive_field import ReceptiveField, receptive_fields
from alexnet_jax.report.sample import Sample
from alexnet_jax.report.units import LayerMaxima, exciting_images, firing_rates, in_order
from alexnet_jax.runs.trained import TrainedNetwork

_UNITS_SHOWN = 12
_MAXIMIZED = 3
_PATCHES = 9
_PATCH_SIDE = 44  # Pixels on the page.
_GRADIENT_IMAGES = 64


def make_layer_pages(trained: TrainedNetwork, sample: Sample) -> list[dict[str, Any]]:
    """Return what the template shows of each layer; its units are those that fire most often.

    Statistics of activations are those of the whole sample's center crops. The gradient is that of
    the mean loss of its first images, without dropout.
    """
    spec = trained.network.model.spec
    chosen = {
        name: np.argsort(-firing_rates(maxima.highest), kind="stable")[:_UNITS_SHOWN]
        for name, maxima in sample.maxima.items()
    }
    made = maximize_units(
        trained.network,
        trained.state.variables,
        {name: units[:_MAXIMIZED].tolist() for name, units in chosen.items()},
    )
    gradients = _gradients(trained, sample)
    return [
        _layer_page(trained, sample, name, chosen[name], made[name], gradients[name]["kernel"])
        for name in in_order(chosen, spec.output_name)
    ]


def _layer_page(
    trained: TrainedNetwork,
    sample: Sample,
    name: str,
    chosen: np.ndarray,
    made: np.ndarray,
    gradient: jax.Array,
) -> dict[str, Any]:
    spec, maxima = trained.network.model.spec, sample.maxima[name]
    rates = firing_rates(maxima.highest)
    field = receptive_fields(spec).get(name)
    return {
        "name": name,
        "units": len(rates),
        "dead": int(np.sum(rates == 0)),
        "active": float(maxima.active.mean()),
        "sum_rms": float(maxima.square.mean() ** 0.5),
        "kernel_rms": _rms(trained.state.variables["params"][name]["kernel"]),
        "gradient_rms": _rms(gradient),
        "rates": rates.tolist(),
        "field": field.size if field else None,  # In pixels; None: a unit sees the whole crop.
        "shown": [
            {
                "number": unit,
                "name": english_name(trained.class_names[unit]) if name == spec.output_name else "",
                "rate": float(rates[unit]),
                "patches": _best_patches(sample, maxima, unit, field),
                "maximized": _zoom_middle(made[place], field) if place < len(made) else None,
            }
            for place, unit in enumerate(chosen.tolist())
        ],
    }


def _gradients(trained: TrainedNetwork, sample: Sample) -> dict[str, dict[str, jax.Array]]:
    model, preprocessing = trained.network.model, trained.network.preprocessing
    trained_params, statistics = map(trained.state.variables.get, ("params", "batch_stats"))

    @jax.jit
    @jax.grad
    def gradient(params: dict, crops: jax.Array, labels: jax.Array) -> jax.Array:
        variables = {"params": params, "batch_stats": statistics}
        logits = model.apply(variables, preprocessing(crops), train=False)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -jnp.mean(chosen)

    few = slice(0, _GRADIENT_IMAGES)
    return dict(gradient(trained_params, sample.crops[few], sample.labels[few]))


def _rms(array: jax.Array) -> float:
    return float(jnp.sqrt(jnp.mean(array.astype(jnp.float32) ** 2)))


def _best_patches(
    sample: Sample, maxima: LayerMaxima, unit: int, field: ReceptiveField | None
) -> str:
    """Return the parts of nine images that excite a unit most, as one picture."""
    images = exciting_images(maxima.highest[:, [unit]], _PATCHES)[0]
    tiles = [_patch(sample.crops[image], maxima.place[image, unit], field) for image in images]
    return sheet_uri(np.stack(tiles), columns=3)


def _patch(crop: np.ndarray, place: np.ndarray, field: ReceptiveField | None) -> np.ndarray:
    """Return what a unit sees of a crop, uint8 [side, side, 3]; gray where that is outside."""
    if field is not None:
        margin = field.size
        top, left = (start + margin for start in field.window(*place.tolist()))
        sides = ((margin, margin), (margin, margin), (0, 0))
        padded = np.pad(crop, sides, constant_values=128)
        crop = padded[top : top + field.size, left : left + field.size]
    side = (_PATCH_SIDE, _PATCH_SIDE)
    return np.asarray(Image.fromarray(crop).resize(side, Image.Resampling.BILINEAR))


def _zoom_middle(image: np.ndarray, field: ReceptiveField | None) -> str:
    """Return the part of a maximized image that its unit, in the middle of the map, sees."""
    side = min(len(image), field.size + 4) if field else len(image)
    start = (len(image) - side) // 2
    part = image[start : start + side, start : start + side]
    return pixels_uri(part) if side < 64 else photo_uri(part, 140)
