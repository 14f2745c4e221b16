import pytest
from changed_config import change

from alexnet_jax.config import default_config
from alexnet_jax.config.checks import check_config
from alexnet_jax.errors import UserError
from alexnet_jax.runs.saved_config import complete, differences, load_config, save_config
from configs import demo


def test_a_config_comes_back_from_its_file(tmp_path):
    save_config(default_config(), tmp_path)
    assert differences(load_config(tmp_path), default_config()) == []


def test_differences_are_told_key_by_key(tmp_path):
    save_config(default_config(), tmp_path)
    assert "model.name: 'original' -> 'tiny'" in differences(
        load_config(tmp_path), demo.get_config()
    )


@pytest.mark.parametrize(
    "key", ["data.dir", "data.max_megapixels", "eval.batch_size", "log.every_steps"]
)
def test_what_does_not_change_the_numbers_may_differ(key):
    assert differences(default_config(), change(key, 7)) == []


@pytest.mark.parametrize("key", ["eval.every_steps", "eval.every_epochs"])
def test_how_often_a_plateau_run_evaluates_decides_its_rate(key):
    old, new = change(key, 7), default_config()
    assert differences(old, new) == []
    old.schedule.name = new.schedule.name = "plateau"
    assert [line.partition(":")[0] for line in differences(old, new)] == [key]


@pytest.mark.parametrize("values", [{}, {"optimizer": 7}])
def test_what_is_no_config_of_ours_is_not_filled_up(values):
    with pytest.raises(UserError, match="is missing|is unknown"):
        check_config(complete(values))


def test_a_workdir_of_before_a_key_existed_continues_with_its_default(tmp_path):
    config = demo.get_config()
    del config.schedule.warmup_epochs
    del config.optimizer.trust_coefficient
    del config.data.max_megapixels
    save_config(config, tmp_path)
    check_config(load_config(tmp_path))
    assert differences(load_config(tmp_path), demo.get_config()) == []


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_damaged_config_names_the_way_out(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json is damaged .*--resume=ignore_config"):
        load_config(tmp_path)


def test_a_folder_without_a_config_is_no_workdir(tmp_path):
    with pytest.raises(UserError, match="is no workdir of a run"):
        load_config(tmp_path)
