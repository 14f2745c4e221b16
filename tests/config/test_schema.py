import string
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alexnet_jax.config import default_config
from alexnet_jax.config.checks import check_config
from alexnet_jax.config.schema import SCHEMA, check_key, flatten
from alexnet_jax.errors import UserError

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


@given(st.sampled_from(sorted(SCHEMA)), st.data())
def test_a_key_with_a_typo_is_refused_and_a_known_key_is_named(key, data):
    place = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    typo = key[:place] + ("" if kind == "delete" else letter) + key[place + (kind != "insert") :]
    assume(typo not in SCHEMA)
    with pytest.raises(UserError) as refusal:
        check_key(typo)
    named = str(refusal.value).partition("did you mean config.")[2].rstrip("?")
    assert named in SCHEMA


@given(st.sampled_from(sorted(SCHEMA)), VALUES)
def test_any_value_of_any_type_is_accepted_or_refused_in_words(key, value):
    config = default_config()
    group, name = key.split(".")
    with config.ignore_type():
        config[group][name] = value
    with suppress(UserError):
        check_config(config)


def test_the_default_config_has_every_key():
    assert set(flatten(default_config().to_dict())) == set(SCHEMA)


def test_a_key_that_is_unset_takes_values_of_its_type_only():
    config = default_config()
    config.data.crop_size = 200
    with pytest.raises(TypeError):
        config.train.microbatch_size = "many"


def test_an_unknown_key_names_the_nearest():
    config = default_config()
    config.train.batchsize = 64
    with pytest.raises(UserError, match=r"train.batchsize is unknown; did you mean config.train.b"):
        check_config(config)


def test_a_key_in_no_group_names_the_nearest():
    with pytest.raises(UserError, match=r"did you mean config.train.seed\?"):
        check_key("seed")
