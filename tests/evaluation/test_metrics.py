import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.evaluation.metrics import METRICS, per_example_metrics, summarize


def score_one(probabilities, label):
    evaluated = per_example_metrics(jnp.asarray([probabilities]), jnp.asarray([label]))
    return float(evaluated["loss"][0]), int(evaluated["rank"][0])


@pytest.mark.parametrize(("label", "rank"), [(0, 0), (1, 1), (4, 4), (5, 5)])
def test_rank_and_loss_of_hand_made_probabilities(label, rank):
    probabilities = [0.4, 0.3, 0.1, 0.09, 0.06, 0.03, 0.02]
    loss, actual = score_one(probabilities, label)
    assert actual == rank
    assert loss == pytest.approx(-np.log(probabilities[label]), rel=1e-6)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_of_equal_probabilities_the_earlier_class_comes_first(label):
    assert score_one([0.25, 0.25, 0.25, 0.25], label)[1] == label


def test_each_row_has_a_rank_of_its_own():
    probabilities = jnp.asarray([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert per_example_metrics(probabilities, jnp.asarray([0, 2]))["rank"].tolist() == [0, 2]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("label", [0, 1])
def test_a_row_with_a_number_that_is_not_finite_is_never_right(odd, label):
    rank = score_one([0.5, odd, 0.5], label)[1]
    assert rank >= 5


def test_a_probability_of_zero_does_not_make_the_loss_infinite():
    assert np.isfinite(score_one([1.0, 0.0], 1)[0])


def batch(losses, ranks, mask=None):
    mask = np.ones(len(losses), bool) if mask is None else np.array(mask)
    return {"loss": np.float32(losses), "rank": np.int32(ranks), "mask": mask}


def test_adding_up_gives_fractions():
    evaluated = [batch([1, 2, 3, 4], [0, 1, 4, 5]), batch([0, 0, 0, 2], [0, 0, 0, 9])]
    assert summarize(evaluated, expected=8) == {
        "top1_error": 4 / 8,
        "top5_error": 2 / 8,
        "loss": 12 / 8,
        "count": 8,
    }


def test_losses_are_added_in_float64():
    """In float32, 2^24 + 1 is 2^24."""
    evaluated = [batch([2**24, 1, 1, 1], [0, 0, 0, 0])]
    assert summarize(evaluated, expected=4)["loss"] == (2**24 + 3) / 4


def test_masked_rows_do_not_count():
    assert summarize([batch([1, 50], [0, 9], [True, False])], expected=1) == {
        "top1_error": 0.0,
        "top5_error": 0.0,
        "loss": 1.0,
        "count": 1,
    }


def test_a_missing_example_is_noticed():
    with pytest.raises(RuntimeError, match="counted 2 examples; the split holds 3"):
        summarize([batch([1, 1], [0, 0])], expected=3)


def test_a_metric_in_the_registry_is_computed_from_the_examples_that_count(monkeypatch):
    monkeypatch.setitem(METRICS, "worst_loss", lambda examples: examples["loss"].max())
    scores = summarize([batch([1, 3], [0, 0]), batch([2, 50], [0, 0], [True, False])], expected=3)
    assert list(scores) == ["top1_error", "top5_error", "loss", "worst_loss", "count"]
    assert scores["worst_loss"] == 3


def test_every_example_keeps_its_label_for_metrics_by_class():
    assert per_example_metrics(jnp.eye(3), jnp.arange(3))["label"].tolist() == [0, 1, 2]
