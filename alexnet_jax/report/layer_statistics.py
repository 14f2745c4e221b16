"""Statistics of each layer's parameters, activations and gradients."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.report.sample import Sample
from alexnet_jax.report.units import firing_rates, in_order
from alexnet_jax.runs.trained import TrainedNetwork

_EXAMPLES = 64


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics of one layer.

    Attributes:
        name: of the layer.
        units: number of maps or units.
        dead: units that are above 0 for no image of the sample.
        active: share of the outputs that are above 0, over all images and positions.
        kernel_rms: root mean square of the kernel.
        gradient_rms: of the loss's gradient by the kernel.
    """

    name: str
    units: int
    dead: int
    active: float
    kernel_rms: float
    gradient_rms: float


def describe_statistics(trained: TrainedNetwork, sample: Sample) -> list[LayerStatistics]:
    """Return a row for each layer.

    Activations are those of the whole sample's centre crops; the gradient is that of the mean loss
    of its first images, without dropout.
    """
    gradients = _gradients(trained, sample)
    rows = []
    layers = in_order(sample.maxima.highest, trained.network.model.spec.output_name)
    for name in layers:
        highest = sample.maxima.highest[name]
        kernel = trained.state.variables["params"][name]["kernel"]
        rows.append(
            LayerStatistics(
                name=name,
                units=highest.shape[1],
                dead=int(np.sum(firing_rates(highest) == 0)),
                active=float(sample.maxima.active[name].mean()),
                kernel_rms=_rms(kernel),
                gradient_rms=_rms(gradients[name]["kernel"]),
            )
        )
    return rows


def _gradients(trained: TrainedNetwork, sample: Sample) -> dict[str, dict[str, jax.Array]]:
    model, preprocessing = trained.network.model, trained.network.preprocessing
    trained_params, statistics = map(trained.state.variables.get, ("params", "batch_stats"))

    @jax.jit
    def gradient(params: dict, crops: jax.Array, labels: jax.Array) -> dict:
        def loss(params: dict) -> jax.Array:
            variables = {"params": params, "batch_stats": statistics}
            logits = model.apply(variables, preprocessing(crops), train=False)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
            return -jnp.mean(chosen)

        return jax.grad(loss)(params)

    few = slice(0, _EXAMPLES)
    return dict(gradient(trained_params, sample.crops[few], sample.labels[few]))


def _rms(array: jax.Array) -> float:
    return float(jnp.sqrt(jnp.mean(array.astype(jnp.float32) ** 2)))
