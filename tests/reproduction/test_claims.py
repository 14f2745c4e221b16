"""The table of claims is complete, and what it names exists."""

import ast
import re

import pytest
from short_run import REPOSITORY

from alexnet_jax.config.recipes import find_recipe, load_recipe
from alexnet_jax.config.schema import SCHEMA, check_key, flatten
from alexnet_jax.errors import UserError
from alexnet_jax.reproduction.claims import load_claims
from alexnet_jax.reproduction.logs import Log, log_path, read_log
from alexnet_jax.reproduction.measures import MEASURES
from alexnet_jax.training.from_config import check_names, make_model, resolve_config

CLAIMS = load_claims()
RESULTS = REPOSITORY / "benchmarks" / "results" / "paper"
SETTINGS = [
    (name, data) for name, experiment in CLAIMS.experiments.items() for data in experiment.data
]


@pytest.mark.parametrize("claim", CLAIMS.claims, ids=lambda claim: claim.name)
def test_a_claim_compares_arms_of_its_experiment(claim):
    arms = CLAIMS.experiments[claim.experiment].arms
    assert claim.against in arms
    assert claim.arm in arms
    assert (claim.networks > 1) == (claim.measure == "ensemble")
    assert claim.measure in MEASURES
    assert claim.sign in (-1, 0, 1)


def test_a_claim_says_what_it_compares():
    said = {claim.name: claim.compared for claim in CLAIMS.claims}
    assert said["lrn"] == "no_normalisation with baseline"
    assert said["ten_crops"] == "baseline"
    assert said["ensemble5"] == "ensembles of 5 networks of baseline with the mean of their members"


@pytest.mark.parametrize(("name", "data"), SETTINGS)
def test_every_arm_is_a_run_that_can_be_trained(name, data):
    experiment = CLAIMS.experiments[name]
    setting = experiment.data[data]
    for overrides in experiment.arms.values():
        config = load_recipe(find_recipe(setting.config))
        for key, value in {**setting.overrides, **overrides}.items():
            check_key(key)
            config.update_from_flattened_dict({key: value})
        resolved = resolve_config(config)
        check_names(resolved)
        make_model(resolved)
        assert resolved.data.name == data


@pytest.mark.parametrize(("name", "data"), SETTINGS)
def test_a_log_has_the_config_that_the_table_gives(name, data):
    path = log_path(RESULTS, data, name)
    if not path.is_file():
        pytest.skip("not measured yet")
    setting = CLAIMS.experiments[name].data[data]
    config = load_recipe(find_recipe(setting.config))
    config.update_from_flattened_dict(setting.overrides)
    log = read_log(path)
    for key, value in flatten(config.to_dict()).items():
        # What no run could say yet had the value of today's default.
        logged = log.config.get(key, SCHEMA[key].default)
        assert key == "data.dir" or logged == (list(value) if type(value) is tuple else value), key


@pytest.mark.parametrize("fact", CLAIMS.facts, ids=lambda fact: fact.proof.rpartition(":")[2])
def test_the_proof_of_a_fact_is_a_test(fact):
    path, _, test = fact.proof.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("name", "data"), SETTINGS)
def test_every_claim_can_be_computed_on_every_data_set(name, data):
    for claim in CLAIMS.of_experiment(name):
        log = Log(name, data, {}, [])
        assert (
            MEASURES[claim.measure].compute(log, claim, CLAIMS.experiments[name].data[data]) is None
        )
        needs_target = MEASURES[claim.measure].curve is not None
        assert not needs_target or CLAIMS.experiments[name].data[data].target is not None


@pytest.mark.parametrize(("name", "data"), SETTINGS)
def test_the_words_about_a_measured_setting_have_its_numbers(name, data):
    setting = CLAIMS.experiments[name].data[data]
    if not log_path(RESULTS, data, name).is_file():
        pytest.skip("not measured yet")
    words = set(re.findall(r"[\d.]*\d", setting.about))
    rate = () if CLAIMS.experiments[name].rates else ("schedule.learning_rate",)
    for key in ("train.steps", "train.epochs", "schedule.boundary_steps", *rate):
        value = setting.overrides.get(key, ())
        for number in value if isinstance(value, tuple) else (value,):
            assert f"{number:g}" in words, key


def test_an_unknown_claim_lists_those_there_are():
    with pytest.raises(UserError, match="--claim=lrm: no such claim; there are relu, .*lrn"):
        CLAIMS.find("lrm")
