import pytest

from alexnet_jax.config import default_config
from alexnet_jax.errors import UserError
from alexnet_jax.training.recipe import check_names
from alexnet_jax.training.registry import bind


def test_a_function_gets_the_values_that_it_has_parameters_for():
    def rate(learning_rate, steps, levels=4):
        return learning_rate, steps, levels

    values = {"learning_rate": 0.1, "steps": 7, "power": 2.0}
    assert bind(rate, values)() == (0.1, 7, 4)


@pytest.mark.parametrize(
    ("key", "name", "known"),
    [
        (
            "schedule.name",
            "cosine",
            "constant, step_decay, staircase_exponential, polynomial, plateau",
        ),
        ("optimizer.name", "adam", "krizhevsky_sgd, pytorch_sgd, lars"),
        ("augment.crop", "left", "random, random_resized, center"),
    ],
)
def test_a_part_that_is_not_there_lists_those_that_are(key, name, known):
    config = default_config()
    config.update_from_flattened_dict({key: name})
    with pytest.raises(UserError, match=f"config.{key}='{name}'; the known ones: {known}"):
        check_names(config)
