from itertools import pairwise

import pytest

from alexnet_jax.config.rules import MOST_STEPS
from alexnet_jax.errors import UserError
from alexnet_jax.layer_table import describe_layers, format_layers
from alexnet_jax.models import MODELS
from alexnet_jax.runs.saved_config import differences, load_config, save_config
from alexnet_jax.runs.summary import name_network
from alexnet_jax.training.experiment import build_without_data
from alexnet_jax.training.from_config import (
    Durations,
    make_model,
    make_rates,
    resolve_config,
    resolve_durations,
)
from configs import demo, imagenet


@pytest.fixture(scope="module")
def imagenet_durations():
    """Of 1,281,167 examples in batches of 128: 10,009.1 steps an epoch."""
    return resolve_durations(imagenet.get_config(), examples=1_281_167)


def due(durations, every):
    return [step for step in range(1, durations.total + 1) if durations.is_due(step, every)]


@pytest.mark.slow
def test_every_fourth_save_of_imagenet_coincides_with_a_test(imagenet_durations):
    tests = due(imagenet_durations, imagenet_durations.evaluate_every)
    assert due(imagenet_durations, imagenet_durations.save_every)[3::4] == tests
    assert tests == [round(k * 1_281_167 / 128) for k in range(1, 91)]
    assert tests[-1] == imagenet_durations.total


def test_saves_of_imagenet_are_evenly_spaced(imagenet_durations):
    saves = due(imagenet_durations, imagenet_durations.save_every)
    gaps = {later - earlier for earlier, later in pairwise(saves)}
    assert (len(saves), gaps) == (360, {2502, 2503})


def test_steps_are_due_at_their_multiples_and_at_the_end():
    config = imagenet.get_config()
    config.train.steps, config.eval.every_steps = 10, 4
    durations = resolve_durations(config, examples=1_281_167)
    assert due(durations, durations.evaluate_every) == [4, 8, 10]


def test_periods_in_steps_are_taken_as_they_are():
    config = imagenet.get_config()
    config.train.update(batch_size=8, steps=100)
    config.eval.every_steps, config.checkpoint.every_steps = 20, 30
    config.log.update(every_steps=7, stuck_after_steps=9)
    assert resolve_durations(config, examples=20) == Durations(
        total=100, per_epoch=2.5, evaluate_every=20, save_every=30, log_every=7, stuck_after=9
    )


def test_a_run_can_have_as_many_steps_as_can_be_counted():
    config = imagenet.get_config()
    config.train.steps = MOST_STEPS
    assert resolve_durations(config, examples=1000).total == MOST_STEPS


def test_a_period_shorter_than_a_step_is_due_at_every_step():
    config = imagenet.get_config()
    config.train.steps, config.eval.every_epochs = 3, 1e-6
    durations = resolve_durations(config, examples=1_281_167)
    assert due(durations, durations.evaluate_every) == [1, 2, 3]


def named(name):
    config = imagenet.get_config()
    config.model.name = name
    return config


@pytest.mark.parametrize("name", MODELS)
def test_a_name_alone_gives_the_crops_of_the_networks_table(name):
    assert resolve_config(named(name)).data.crop_size == MODELS[name].crop_size


def test_a_name_alone_gives_the_doctor_the_network_of_the_textbooks():
    experiment = build_without_data(named("paper"))
    rows = describe_layers(experiment.network.model, experiment.config.data.crop_size)
    lines = format_layers(rows).splitlines()
    assert name_network(experiment.config) == "paper"
    assert lines[0] == (
        "227x227x3 → 55x55x96 → 27x27x256 → 13x13x384 → 13x13x384 → 13x13x256 → 6x6x256 → "
        "4096 → 4096 → 1000"
    )
    assert lines[-1].split()[1] == "60,965,224"


def test_the_doctor_names_crops_that_are_not_the_tables():
    config = demo.get_config()
    config.data.crop_size = 72
    assert name_network(config) == "tiny on crops of 72"


def test_crops_that_the_config_asks_for_are_taken():
    config = named("tiny")
    config.data.crop_size = 96
    assert resolve_config(config).data.crop_size == 96


def test_images_smaller_than_the_networks_crops_are_refused():
    config = named("paper")
    config.data.image_size = 226
    with pytest.raises(UserError, match="crop_size=227 is larger than config.data.image_size=226"):
        resolve_config(config)


def test_resolving_changes_nothing_in_the_config_it_is_given():
    config = named("paper")
    resolve_config(config)
    assert config.data.crop_size is None


def test_a_workdir_of_when_crops_had_to_be_given_goes_on(tmp_path):
    old = imagenet.get_config()
    old.data.crop_size = 224
    save_config(old, tmp_path)
    assert (
        differences(resolve_config(load_config(tmp_path)), resolve_config(named("original"))) == []
    )


def test_a_whole_number_for_a_real_one_is_a_float():
    """JAX would take it for an int32, which holds no 10^12."""
    config = imagenet.get_config()
    with config.ignore_type():
        config.optimizer = {**config.optimizer.to_dict(), "weight_decay": 10**12}
    assert isinstance(resolve_config(config).optimizer.weight_decay, float)


@pytest.mark.parametrize(
    ("changes", "output"), [((), "fc8"), (("without_conv3",), "fc7"), (("tanh",), "fc8")]
)
def test_the_output_layers_rate_is_that_of_the_changed_networks_output(changes, output):
    config = imagenet.get_config("one_cnn_star")
    config.model.update(name="original", modifications=changes)
    durations = resolve_durations(config, examples=1000)
    assert set(make_rates(config, durations).layer_factors) == {"conv1", output}
    assert make_model(config).spec.output_name == output


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epochs", 1e9, "the run ends at step 7,812,500,000; a run counts to 2,147,483,647"),
        ("schedule.warmup_epochs", 1e9, "epoch 1e.09 ends at step 7,812,500,000"),
        ("schedule.boundaries", (25, 1e9), "epoch 1e.09 ends at step 7,812,500,000"),
    ],
)
def test_epochs_beyond_the_steps_that_can_be_counted_are_refused(key, value, message):
    config = imagenet.get_config("original")
    group, name = key.split(".")
    config[group][name] = value
    with pytest.raises(UserError, match=message):
        make_rates(config, resolve_durations(config, examples=1000))
