import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_network import apply, init

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.evaluation.scoring import (
    Predictor,
    evaluate_split,
    make_view_predictor,
    view_probabilities,
)
from alexnet_jax.models import create_model
from alexnet_jax.parallel.mesh import make_data_mesh, split_over_data, to_devices

pytestmark = pytest.mark.slow


def constant(*probabilities):
    """A predictor that says the same of every image and view."""
    return Predictor(
        lambda images, view: jnp.tile(jnp.asarray(probabilities), (len(images), 1)), crop_size=6
    )


def batches(count):
    """One image a row, label 0, padded to batches of four."""
    for first in range(0, count, 4):
        yield {
            "image": np.zeros((4, 8, 8, 3), np.uint8),
            "label": np.zeros(4, np.int32),
            "mask": np.arange(first, first + 4) < count,
        }


def score(*arguments):
    """The scores by kind of view."""
    return {kind: evaluated.scores for kind, evaluated in evaluate_split(*arguments).items()}


def test_every_image_counts_once():
    scores = score([constant(0.9, 0.1)], batches(9), 9, "center", make_data_mesh())
    assert scores["center"]["count"] == 9
    assert scores["center"]["top1_error"] == 0


def test_probabilities_of_several_networks_are_averaged():
    predictors = [constant(0.1, 0.9), constant(0.6, 0.4)]
    scores = score(predictors, batches(4), 4, "center", make_data_mesh())
    assert scores["center"]["loss"] == pytest.approx(-np.log(0.35), rel=1e-6)


def test_a_network_that_predicts_nan_is_named_with_how_often():
    predictors = [constant(0.6, 0.4), constant(np.nan, 0.4)]
    with pytest.raises(NotFiniteError, match="^b predicts .* not finite for 9 of 9 images$"):
        score(predictors, batches(9), 9, "ten_crop", make_data_mesh(), ["a", "b"])


def test_networks_without_names_are_numbered_from_one():
    predictors = [constant(0.6, 0.4), constant(0.6, np.inf)]
    with pytest.raises(NotFiniteError, match="^network 2 predicts"):
        score(predictors, batches(4), 4, "center", make_data_mesh())


def test_only_a_network_that_predicts_what_is_not_finite_is_named():
    predictors = [constant(np.nan, 0.4), constant(0.6, 0.4)]
    with pytest.raises(NotFiniteError, match="^a predicts .* 4 of 4 images$"):
        score(predictors, batches(4), 4, "center", make_data_mesh(), ["a", "b"])


@pytest.mark.parametrize("processes", [1, 2])
def test_only_in_a_cluster_is_what_was_evaluated_whole_on_every_device(processes, monkeypatch):
    mesh, fetched, device_get = make_data_mesh(), [], jax.device_get
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    monkeypatch.setattr(jax, "device_get", lambda tree: fetched.append(tree) or device_get(tree))
    split = [to_devices(batch, mesh) for batch in batches(8)]
    halves = Predictor(lambda images, view: images[:, 0, 0, :2].astype(jnp.float32) + 0.5, 6)
    score([halves], split, 8, "center", mesh)
    whole = {leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(fetched)}
    assert whole == {processes == 2}


def test_ten_crops_average_the_views_and_give_the_center_too():
    by_view = jnp.stack([jnp.array([view / 10, 1 - view / 10]) for view in range(10)])
    predictor = Predictor(lambda images, view: by_view[view][None], crop_size=6)
    averages = view_probabilities([predictor], jnp.zeros((1, 8, 8, 3)), "ten_crop")
    np.testing.assert_allclose(averages["center"], [[0.2, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(averages["ten_crop"], [[0.45, 0.55]], rtol=1e-6)


def test_views_with_the_same_pixels_are_predicted_once():
    asked = []

    def predict(images, view):
        asked.append(view)
        return jnp.array([[0.2, 0.8]]) if view < 5 else jnp.array([[0.6, 0.4]])

    averages = view_probabilities([Predictor(predict, 8)], jnp.zeros((1, 8, 8, 3)), "ten_crop")
    assert asked == [0, 5]
    np.testing.assert_allclose(averages["center"], [[0.2, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(averages["ten_crop"], [[0.4, 0.6]], rtol=1e-6)


def test_a_network_sees_the_center_crop_minus_the_mean():
    model = create_model("tiny", num_classes=3)
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype(np.uint8)
    preprocessing = Preprocessing(np.full((96, 96, 3), 100, np.float32), np.ones(3, np.float32))
    crops = jnp.float32(images[:, 8:88, 8:88]) - 100
    variables = init(model, crops)
    predict = make_view_predictor(model, preprocessing, 80, make_data_mesh())
    probabilities = np.asarray(predict(variables, images, 2))
    logits = np.asarray(apply(model, variables, crops), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


def test_a_predictor_splits_its_batch_over_the_devices():
    mesh, model = make_data_mesh(), create_model("tiny", num_classes=3)
    preprocessing = Preprocessing(np.zeros((96, 96, 3), np.float32), np.ones(3, np.float32))
    images = np.zeros((4, 96, 96, 3), np.uint8)
    crops = jnp.zeros((4, 80, 80, 3))
    variables = init(model, crops)
    predict = make_view_predictor(model, preprocessing, 80, mesh)
    program = predict.lower(variables, images, 2).compile()
    (_, taken, _), _ = program.input_shardings
    for sharding, dimensions in ((taken, 4), (program.output_shardings, 2)):
        assert sharding.is_equivalent_to(split_over_data(mesh), dimensions)
