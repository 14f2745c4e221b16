import string
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alexnet_jax.errors import UserError
from alexnet_jax.training.configuration import KEYS, check_config, check_key
from configs import imagenet

LETTERS = string.ascii_lowercase + "_."
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.none()), max_size=3),
    st.tuples(),
    st.binary(max_size=4),
)


@given(st.sampled_from(sorted(KEYS)), st.data())
def test_a_key_with_a_typo_is_refused_and_a_known_key_is_named(key, data):
    place = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    typo = key[:place] + ("" if kind == "delete" else letter) + key[place + (kind != "insert") :]
    assume(typo not in KEYS)
    with pytest.raises(UserError) as refusal:
        check_key(typo)
    named = str(refusal.value).partition("did you mean config.")[2].rstrip("?")
    assert named in KEYS


@given(st.sampled_from(sorted(KEYS)), VALUES)
def test_any_value_of_any_type_is_accepted_or_refused_in_words(key, value):
    config = imagenet.get_config()
    group, name = key.split(".")
    with config.ignore_type():
        config[group][name] = value
    with suppress(UserError):
        check_config(config)
