"""The further place for a run's numbers: a module with the interface of wandb."""

import json
import re
import sys
from types import ModuleType

import pytest
from short_run import REPOSITORY

from alexnet_jax.errors import UserError
from alexnet_jax.monitoring.sink import Sink, check_sink
from alexnet_jax.runs.train import train_and_evaluate

MODULE = """
import json
from pathlib import Path

class Run:
    def __init__(self, file):
        self.file = file

    def log(self, values, step):
        with self.file.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\\n")

    def finish(self):
        self.file.with_name("finished").touch()

def init(project, name, config, dir):
    Path(dir, "settings.json").write_text(json.dumps([project, name, config]))
    return Run(Path(dir, "sink.jsonl"))
"""

# The functions of MLflow that the docs use, with the names of its parameters.
MLFLOW = """
calls = []

def set_experiment(experiment_name=None, experiment_id=None):
    calls.append(("experiment", experiment_name))

def start_run(run_id=None, experiment_id=None, run_name=None):
    calls.append(("start", run_name))

def log_params(params, synchronous=None, run_id=None):
    calls.append(("params", params))

def log_metrics(metrics, step=None, synchronous=None, run_id=None):
    calls.append(("metrics", metrics, step))

def end_run(status="FINISHED"):
    calls.append(("end", status))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that installs a module with some code, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(code):
        name = f"sink_of_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(code)
        return name

    yield install
    for name in [name for name in sys.modules if name.startswith("sink_of_")]:
        del sys.modules[name]


@pytest.mark.slow
def test_a_run_sends_all_its_numbers(config, module, tmp_path):
    config.log.sink = module(MODULE)
    workdir = tmp_path / "run"
    train_and_evaluate(config, workdir)
    sent = [json.loads(line) for line in (workdir / "sink.jsonl").read_text().splitlines()]
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in sent] == [line["step"] for line in logged]
    assert sent[0]["train/loss"] == logged[0]["loss"]
    assert sent[-1]["ten_crop/top1_error"] == logged[-1]["top1_error"]
    assert (workdir / "finished").exists()


def test_it_gets_the_name_of_the_workdir_and_the_config(module, tmp_path):
    with Sink(module(MODULE), tmp_path, {"train.seed": 3}):
        pass
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings == ["alexnet_jax", tmp_path.name, {"train.seed": 3}]


def test_the_adapter_of_the_docs_sends_a_run_to_mlflow(module, tmp_path, monkeypatch, capsys):
    mlflow = ModuleType("mlflow")
    exec(MLFLOW, mlflow.__dict__)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    page = (REPOSITORY / "docs" / "training.md").read_text()
    (adapter,) = re.findall(r"```python\n(.*?import mlflow.*?)```", page, re.DOTALL)
    with Sink(module(adapter), tmp_path, {"train.seed": 3}) as sink:
        sink.train(20, {"loss": 1.5})
        sink.evaluation(40, "center", {"top1_error": 0.25})
    assert mlflow.calls == [
        ("experiment", "alexnet_jax"),
        ("start", tmp_path.name),
        ("params", {"train.seed": 3}),
        ("metrics", {"train/loss": 1.5}, 20),
        ("metrics", {"center/top1_error": 0.25}, 40),
        ("end", "FINISHED"),
    ]
    assert capsys.readouterr().err == ""


def test_an_init_without_a_folder_is_called_without_one(module, tmp_path, capsys):
    code = "def init(project, name, config):\n    raise RuntimeError(f'{project} {config}')"
    Sink(module(code), tmp_path, {})
    assert "(RuntimeError: alexnet_jax {})" in capsys.readouterr().err


def test_a_failure_is_one_warning_and_the_run_goes_on(module, tmp_path, capsys):
    code = MODULE.replace("self.file.open", "self.file.no_such_method")
    with Sink(module(code), tmp_path, {}) as sink:
        sink.train(1, {"loss": 1.0})
        sink.train(2, {"loss": 1.0})
    err = capsys.readouterr().err
    assert err.count("warning:") == err.count("\n") == 1
    assert "the run continues without it" in err


def test_a_module_that_is_not_installed_stops_the_run_before_it_starts(config, tmp_path):
    config.log.sink = "no_such_sink"
    with pytest.raises(UserError, match="'no_such_sink': there is no such module; pip install"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [None, "json"])
def test_no_sink_and_one_that_is_installed_pass(name):
    check_sink(name)


@pytest.mark.parametrize("name", ["", "no.such", ".json"])
def test_names_that_no_module_can_have_are_refused(name):
    with pytest.raises(UserError, match="no such module"):
        check_sink(name)
