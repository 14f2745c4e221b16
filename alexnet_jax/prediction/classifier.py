"""Networks that classify images, from a workdir, a weights file or an exported program."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import jax
import numpy as np
from jax.sharding import Mesh

from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS
from alexnet_jax.data.imagenet.names import describe_class, imagenet_words
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import Predictor, make_view_predictor, view_probabilities
from alexnet_jax.parallel.mesh import make_data_mesh, replicated, to_devices
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.runs.trained import open_trained
from alexnet_jax.weights.formats import import_weights
from alexnet_jax.weights.stablehlo import read_program

_NAMED = 3  # Classes in a description.


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with all that is needed to classify images."""

    # (images uint8 [B, S, S, 3], RGB, views) -> float32 [B, classes], which may still be computed
    # when it returns.
    probabilities: Callable[[np.ndarray, str], jax.Array]
    image_size: int  # S.
    class_names: list[str]  # By label.
    knowledge: str  # One line on what the network can know.
    source: Path  # The file or workdir.
    views: tuple[str, ...] = ("ten_crop", "center")  # That it can average, the default first.
    batch_multiple: int = 1  # B is a multiple of it: the number of devices.
    max_megapixels: float = MAX_MEGAPIXELS  # Larger images are refused.
    way_out: str = "export or import it again"  # If numbers are not finite, for the message.


def from_workdir(
    workdir: Path, checkpoint: str | None = None, notes: TextIO | None = None
) -> Classifier:
    """Load a checkpoint of a workdir; arguments and errors as for `load_trained`."""
    trained = open_trained(workdir, checkpoint, notes=notes)
    config = trained.config
    return Classifier(
        partial(_predict, trained.predict, trained.mesh),
        config.data.image_size,
        trained.class_names,
        describe_knowledge(config.model.name, trained.class_names, config.data.name),
        workdir,
        batch_multiple=trained.mesh.size,
        max_megapixels=config.data.max_megapixels,
        way_out="give another --checkpoint",
    )


def from_weights(path: Path, format: str) -> Classifier:
    """Read a file of weights; formats and errors as for `import_weights`."""
    configure_jax()
    mesh, bundle = make_data_mesh(), import_weights(path, format)
    predict = make_view_predictor(bundle.model, bundle.preprocessing, bundle.crop_size, mesh)
    variables = jax.device_put(bundle.variables, replicated(mesh))
    predictor = Predictor(partial(predict, variables), bundle.crop_size)
    return Classifier(
        partial(_predict, predictor, mesh),
        bundle.image_size,
        bundle.class_names,
        describe_knowledge(bundle.model_name, bundle.class_names, bundle.data),
        path,
        batch_multiple=mesh.size,
    )


def from_program(path: Path) -> Classifier:
    """Read an exported program, which computes on one device; errors as for `read_program`."""
    configure_jax()
    program = read_program(path)
    return Classifier(
        lambda images, views: program.call(images),
        program.image_size,
        program.class_names,
        describe_knowledge(program.model_name, program.class_names, program.data),
        path,
        views=("center",),
    )


def choose_views(classifier: Classifier, views: str | None) -> str:
    """Return the views to average, by default the classifier's own; UserError if it cannot."""
    if views is not None and views not in classifier.views:
        raise UserError(
            f"{classifier.source} cuts out the center crop itself: --views={views} needs "
            "--workdir or --weights"
        )
    return views or classifier.views[0]


def describe_knowledge(model_name: str | None, class_names: Sequence[str], data: str | None) -> str:
    """Return a line on what a network knows; it assigns every image to one of these classes.

    Imported weights are of unknown data, but for classes that are ImageNet's; their workdirs hold
    the default config, whose data are ImageNet.
    """
    if imagenet_words().keys() >= set(class_names):
        data = "ImageNet"
    elif data == "imagenet2012":
        data = None
    names = [describe_class(name) for name in class_names]
    listed = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return (
        f"{model_name or 'this network'} knows {len(names):,} classes"
        f"{f' of {data}' if data else ''} ({listed}) and assigns every image to one of them"
    )


def _predict(predictor: Predictor, mesh: Mesh, images: np.ndarray, views: str) -> jax.Array:
    sent = to_devices({"image": images}, mesh)["image"]
    return view_probabilities([predictor], sent, views)[views]
