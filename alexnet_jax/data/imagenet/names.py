"""English names of ImageNet's classes, whose names in data sets are synsets such as n02165456."""

from functools import cache
from importlib.resources import files

# Synsets whose first word is also that of another class, with a qualifier.
_QUALIFIERS = {
    "n02012849": "bird",
    "n03126707": "machine",
    "n02113186": "corgi",
    "n02963159": "jacket",
    "n03710637": "tights",
    "n03710721": "tank suit",
    # Only in ILSVRC-2010:
    "n12401684": "tree",
    "n11748811": "underground pod",
    "n12075151": "Ophrys",
    "n02950632": "armor",
    "n03877674": "trousers",
}


@cache
def imagenet_words() -> dict[str, str]:
    """Return the words of the 1,000 classes of ILSVRC-2012 by synset, in the order of the labels.

    Words are separated by commas: "ladybug, ladybeetle, lady beetle, ladybird, ladybird beetle".
    """
    return _read_words("imagenet_words.txt")


@cache
def imagenet2010_words() -> dict[str, str]:
    """Return the words of the 1,000 classes of ILSVRC-2010 by synset, in the order of the labels.

    360 of the classes are not in ILSVRC-2012.
    """
    return _read_words("imagenet2010_words.txt")


def english_name(class_name: str) -> str:
    """Return "ladybug" for the class n02165456 of ImageNet; other names as they are.

    The name is the class's first word. If classes share it, a qualifier follows: "crane (bird)".
    """
    words = imagenet_words().get(class_name) or imagenet2010_words().get(class_name)
    if words is None:
        return class_name
    first, qualifier = words.split(", ")[0], _QUALIFIERS.get(class_name)
    return f"{first} ({qualifier})" if qualifier else first


def describe_class(class_name: str) -> str:
    """Return "ladybug (n02165456)" for a class of ImageNet; other names as they are."""
    name = english_name(class_name)
    return class_name if name == class_name else f"{name} ({class_name})"


def _read_words(name: str) -> dict[str, str]:
    text = (files(__package__) / name).read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {synset: words for synset, _, words in (line.partition(" ") for line in lines)}
