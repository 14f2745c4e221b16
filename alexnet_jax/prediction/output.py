"""Predictions as text, JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Sequence

from alexnet_jax.data.imagenet.names import describe_class, english_name
from alexnet_jax.errors import printable
from alexnet_jax.prediction.classification import Prediction

CSV_HEADER = "path,rank,label,class,name,probability"


def as_text(prediction: Prediction, class_names: Sequence[str]) -> str:
    """Return the image's path and a table of its classes; "" for an image that is not readable."""
    if prediction.problem:
        return ""
    lines = [
        f"  {probability:7.2%}  {printable(describe_class(class_names[label]))}"
        for label, probability in prediction.classes
    ]
    return "\n".join([printable(prediction.path), *lines])


def as_json(prediction: Prediction, class_names: Sequence[str]) -> str:
    """Return one object on one line: path, and predictions or error."""
    if prediction.problem:
        return json.dumps({"path": str(prediction.path), "error": prediction.problem})
    predictions = [
        {
            "label": label,
            "class": class_names[label],
            "name": english_name(class_names[label]),
            "probability": probability,
        }
        for label, probability in prediction.classes
    ]
    return json.dumps({"path": str(prediction.path), "predictions": predictions})


def as_csv(prediction: Prediction, class_names: Sequence[str]) -> str:
    """Return a row for each class, as `CSV_HEADER` says; "" for an image that is not readable."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for rank, (label, probability) in enumerate(prediction.classes, start=1):
        name = class_names[label]
        writer.writerow([prediction.path, rank, label, name, english_name(name), probability])
    return text.getvalue().rstrip("\n")
