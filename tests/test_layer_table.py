import pytest

from alexnet_jax.layer_table import (
    compare_crop,
    count_parameters,
    describe_layers,
    format_chain,
    format_layers,
)
from alexnet_jax.models import MODELS, create_model

# As docs/recipes.md has them.
PARAMETERS = {
    "original": 60_965_224,
    "paper": 60_965_224,
    "single_tower": 62_378_344,
    "one_column": 59_798_312,
    "six_conv": 61_555_304,
    "caffe": 60_965_224,
    "caffenet": 60_965_224,
    "owt": 61_100_840,
    "tiny": 437_208,
    "four_layer": 336_328,
    "two_conv": 540_344,
}


@pytest.mark.parametrize(
    ("name", "multiply_adds"),
    [("original", 724_406_816), ("single_tower", 1_135_256_096), ("owt", 714_188_480)],
)
def test_multiply_adds_are_those_of_the_facts(name, multiply_adds):
    model = create_model(name)
    rows = describe_layers(model, model.spec.crop_size)
    assert sum(row.multiply_adds for row in rows) == multiply_adds


def test_rows_are_the_layers_of_figure_2():
    rows = {row.name: row for row in describe_layers(create_model("original"), 224)}
    assert rows["conv1"].output == (55, 55, 96)
    assert rows["fc8"].output == (1000,)
    assert [row.parameters for row in rows.values()] == [
        34_944,
        307_456,
        885_120,
        663_936,
        442_624,
        37_752_832,
        16_781_312,
        4_097_000,
    ]


def test_the_table_ends_with_totals():
    last = format_layers(describe_layers(create_model("original"), 224)).splitlines()[-1]
    assert last.split() == ["total", "60,965,224", "724,406,816"]


@pytest.mark.parametrize("name", MODELS)
def test_a_network_on_its_own_crops_has_the_parameters_of_the_readme(name):
    model = create_model(name)
    assert count_parameters(describe_layers(model, model.spec.crop_size)) == PARAMETERS[name]


def test_the_chain_of_the_paper_is_that_of_the_textbooks():
    assert format_chain(describe_layers(create_model("paper"), 227)) == (
        "227x227x3 → 55x55x96 → 27x27x256 → 13x13x384 → 13x13x384 → 13x13x256 → 6x6x256 → "
        "4096 → 4096 → 1000"
    )


def test_the_chain_has_no_pooling_behind_a_convolution_that_has_none():
    chain = format_chain(describe_layers(create_model("six_conv"), 224))
    assert chain.endswith("13x13x256 → 6x6x256 → 4096 → 4096 → 1000")


def test_the_chain_leaves_batch_normalisation_out():
    chain = format_chain(describe_layers(create_model("caffe", modifications=("batch_norm",)), 227))
    assert chain == format_chain(describe_layers(create_model("caffe"), 227))


def test_crops_that_give_other_shapes_are_told_with_both_numbers():
    assert compare_crop("paper", create_model("paper"), 224) == (
        "crops of 224 pixels make paper another network than its table: 49,430,888 parameters, not "
        "60,965,224; leave config.data.crop_size unset for its own crops of 227"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "crop_size"), [("paper", 227), ("owt", 227)])
def test_crops_that_give_the_same_shapes_are_not_worth_a_word(name, crop_size):
    assert compare_crop(name, create_model(name), crop_size) == ""
