import jax
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.monitoring.profiling import ProfiledSteps, parse_profiled_steps
from alexnet_jax.runs.train import train_and_evaluate


def test_start_and_stop_are_read():
    assert parse_profiled_steps("100:110") == ProfiledSteps(100, 110)
    assert parse_profiled_steps("") is None


@pytest.mark.parametrize("text", ["5", "5:", ":5", "a:b", "5:5", "7:5", "-1:5", "1:2:3", "1.0:2"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match=r"should be START:STOP.*e\.g\. 100:110"):
        parse_profiled_steps(text)


@pytest.mark.parametrize("steps", [ProfiledSteps(3, 5), ProfiledSteps(5, 11)])
def test_steps_that_the_run_does_not_take_are_refused(steps):
    with pytest.raises(UserError, match="outside the steps that are left, 4:10"):
        steps.check(completed=4, total=10)


@pytest.mark.slow
def test_a_run_traces_the_steps_it_was_asked_to(config, tmp_path):
    train_and_evaluate(config, tmp_path, profiled=ProfiledSteps(2, 4))
    (file,) = (tmp_path / "profile").rglob("*.xplane.pb")
    planes = jax.profiler.ProfileData.from_file(str(file)).planes
    events = [event for plane in planes for line in plane.lines for event in line.events]
    steps = [dict(event.stats)["step_num"] for event in events if event.name == "train"]
    assert steps == [2, 3]
