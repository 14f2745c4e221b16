import numpy as np

from alexnet_jax.prediction.by_class import (
    ClassErrors,
    confused_pairs,
    errors_by_class,
    format_by_class,
)

LABELS = np.array([0, 0, 1, 1, 1, 1, 2])
PREDICTED = np.array([0, 0, 2, 0, 0, 1, 1])


def test_the_class_with_the_highest_error_comes_first():
    assert errors_by_class(LABELS, PREDICTED) == [
        ClassErrors(label=2, count=1, errors=1, confused_with=1, confused=1),
        ClassErrors(label=1, count=4, errors=3, confused_with=0, confused=2),
        ClassErrors(label=0, count=2, errors=0, confused_with=None, confused=0),
    ]


def test_the_error_of_a_class_is_a_share_of_its_own_images():
    assert [each.top1_error for each in errors_by_class(LABELS, PREDICTED)] == [1.0, 0.75, 0.0]


def test_without_errors_nothing_is_confused():
    (only,) = errors_by_class(np.array([3]), np.array([3]))
    assert only == ClassErrors(3, 1, 0, None, 0)


def test_confused_pairs_are_counted_the_most_frequent_first():
    pairs = confused_pairs(np.array([0, 0, 2, 1, 0]), np.array([0, 1, 1, 1, 1]))
    assert pairs == [((0, 1), 2), ((2, 1), 1)]


def test_the_table_has_names_and_per_cent():
    table = format_by_class(errors_by_class(LABELS, PREDICTED), ["cat", "dog", "ox"])
    assert table.splitlines() == [
        "class  images  errors  top-1 error  most confused with",
        "ox          1       1      100.00%  dog (1x)",
        "dog         4       3       75.00%  cat (2x)",
        "cat         2       0        0.00%",
    ]
