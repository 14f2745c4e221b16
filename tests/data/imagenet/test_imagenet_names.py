from alexnet_jax.data.builders.imagenet2012 import validation_labels
from alexnet_jax.data.imagenet.names import (
    describe_class,
    english_name,
    imagenet2010_words,
    imagenet_words,
)


def test_the_words_are_those_of_every_class_in_the_order_of_the_labels():
    assert list(imagenet_words()) == sorted(set(validation_labels()))


def test_no_two_classes_have_the_same_name():
    names = {english_name(synset).lower() for synset in imagenet_words()}
    assert len(names) == 1000


def test_a_class_is_named_by_its_first_word():
    assert imagenet_words()["n02165456"].startswith("ladybug, ladybeetle")
    assert english_name("n02165456") == "ladybug"


def test_two_cranes_are_told_apart():
    assert english_name("n02012849") == "crane (bird)"
    assert english_name("n03126707") == "crane (machine)"


def test_people_see_both_the_name_and_the_synset():
    assert describe_class("n02165456") == "ladybug (n02165456)"


def test_other_names_stay_as_they_are():
    assert english_name("fractal_0003") == describe_class("fractal_0003") == "fractal_0003"


def test_no_two_classes_of_2010_have_the_same_name():
    names = {english_name(synset).lower() for synset in imagenet2010_words()}
    assert len(names) == 1000


def test_a_class_of_2010_alone_has_a_name_too():
    assert "n07711080" not in imagenet_words()
    assert describe_class("n07711080") == "french fries (n07711080)"
