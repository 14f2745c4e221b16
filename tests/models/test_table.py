import pytest

from alexnet_jax.models import create_model
from alexnet_jax.models.table import describe_layers, format_layers


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
