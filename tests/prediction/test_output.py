import csv
import json
from pathlib import Path

from alexnet_jax.prediction.classification import Prediction
from alexnet_jax.prediction.output import CSV_HEADER, as_csv, as_json, as_text

NAMES = ["n02165456", "cat", "bad\x1b[2J"]
PREDICTION = Prediction(Path("a, b.png"), [(0, 0.75), (1, 0.2)])
UNREAD = Prediction(Path("a.png"), [], "the file is empty")


def test_text_is_a_table_in_per_cent_with_english_names():
    assert as_text(PREDICTION, NAMES).splitlines() == [
        "a, b.png",
        "   75.00%  ladybug (n02165456)",
        "   20.00%  cat",
    ]


def test_text_escapes_what_would_command_a_terminal():
    assert "\x1b" not in as_text(Prediction(Path("\x1b.png"), [(2, 1.0)]), NAMES)


def test_json_has_the_synset_and_the_name_and_a_fraction():
    found = json.loads(as_json(PREDICTION, NAMES))
    assert found["path"] == "a, b.png"
    assert found["predictions"][0] == {
        "label": 0,
        "class": "n02165456",
        "name": "ladybug",
        "probability": 0.75,
    }


def test_json_keeps_a_line_for_an_image_that_cannot_be_read():
    assert json.loads(as_json(UNREAD, NAMES)) == {"path": "a.png", "error": "the file is empty"}


def test_json_is_one_line_of_ascii_whatever_the_names():
    text = as_json(Prediction(Path("\n\udcff.png"), [(2, 1.0)]), NAMES)
    assert text.isascii()
    assert "\n" not in text


def test_csv_has_a_row_for_each_class():
    rows = list(csv.DictReader([CSV_HEADER, *as_csv(PREDICTION, NAMES).splitlines()]))
    assert rows[0] == {
        "path": "a, b.png",
        "rank": "1",
        "label": "0",
        "class": "n02165456",
        "name": "ladybug",
        "probability": "0.75",
    }
    assert rows[1]["rank"] == "2"


def test_other_formats_leave_out_an_image_that_cannot_be_read():
    assert as_text(UNREAD, NAMES) == as_csv(UNREAD, NAMES) == ""
