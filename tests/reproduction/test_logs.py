"""Logs are read back as they were written; new runs take the place of old ones."""

import pytest
from made_logs import made_log, made_run

from alexnet_jax.errors import UserError
from alexnet_jax.reproduction.logs import Ensemble, log_path, merge, read_log


def test_a_log_is_read_back_as_it_was_written(tmp_path):
    log = made_log(
        made_run("baseline", 0, train=[[1.0, 2.0, 0.5]]),
        made_run("tanh", 1, rate=0.01, mistakes={"center": [3, 4]}),
        ensembles=[Ensemble([0, 1], {"center": {"top1_error": 0.1}})],
    )
    path = log_path(tmp_path, log.data, log.experiment)
    log.write(path)
    assert path == tmp_path / "fractals_few" / "ablations.jsonl"
    read = read_log(path)
    assert list(read.runs) == list(log.runs)
    assert list(read.ensembles) == list(log.ensembles)
    assert (read.experiment, read.data) == (log.experiment, log.data)


@pytest.mark.parametrize("text", ["", "{}", "[1]\n", '{"experiment": 1}\nx'])
def test_a_damaged_log_is_named(tmp_path, text):
    path = tmp_path / "ablations.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="ablations.jsonl is no log of launch.reproduce"):
        read_log(path)


def test_a_new_run_takes_the_place_of_the_same_one():
    old = [made_run("baseline", 0, 0.5), made_run("baseline", 1, 0.5)]
    new = [made_run("baseline", 1, 0.1), made_run("a", 0, 0.1)]
    assert merge(old, new) == [new[1], old[0], new[0]]
