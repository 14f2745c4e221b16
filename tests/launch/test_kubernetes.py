"""launch/k8s/jobset.yaml: against the published models, and its command as local processes."""

import re

import pytest
import yaml
from cluster_runs import finish, free_port, options, result, start
from short_run import REPOSITORY

from alexnet_jax.errors import UserError
from alexnet_jax.system.signals import SAVED_EXIT_CODE

pytestmark = pytest.mark.slow

MANIFEST = REPOSITORY / "launch" / "k8s" / "jobset.yaml"


@pytest.fixture
def manifest():
    return yaml.safe_load(MANIFEST.read_text())


def find_job(manifest):
    return manifest["spec"]["replicatedJobs"][0]["template"]["spec"]


def read_job_set(manifest):
    """Read the manifest as Kubernetes would; what no model knows is lost on the way."""
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="needs the JobSet models")
    return models.JobsetV1alpha2JobSet.from_dict(manifest).to_dict()


def test_every_key_is_one_of_a_job_set(manifest):
    assert read_job_set(manifest) == manifest


def test_a_misspelt_key_would_be_noticed(manifest):
    manifest["spec"]["failurePolicy"]["maxRestart"] = 3
    assert read_job_set(manifest) != manifest


def test_the_coordinator_is_the_first_pod_of_the_set(manifest):
    job = find_job(manifest)
    container = job["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable for variable in container["env"]}
    name, jobs = manifest["metadata"]["name"], manifest["spec"]["replicatedJobs"]
    port = container["ports"][0]["containerPort"]
    address = f"{name}-{jobs[0]['name']}-0-0.{name}:{port}"
    assert variables["JAX_COORDINATOR_ADDRESS"]["value"] == address
    count = variables["JAX_NUM_PROCESSES"]["value"]
    assert count == str(job["parallelism"]) == str(job["completions"])
    assert f"--config.parallel.processes={count}" in container["command"]


def exit_codes(manifest, action):
    rules = find_job(manifest)["podFailurePolicy"]["rules"]
    return [code for rule in rules if rule["action"] == action for code in exit_code_of(rule)]


def exit_code_of(rule):
    codes = rule["onExitCodes"]
    assert (codes["containerName"], codes["operator"]) == ("train", "In")
    return codes["values"]


def test_what_was_saved_starts_again_and_is_no_crash(manifest):
    assert exit_codes(manifest, "Ignore") == [SAVED_EXIT_CODE]


def test_a_mistake_ends_the_set(manifest):
    assert exit_codes(manifest, "FailJob") == [UserError.exit_code]
    (rule,) = manifest["spec"]["failurePolicy"]["rules"]
    assert (rule["action"], rule["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])


def test_any_other_end_counts_and_is_limited(manifest):
    assert find_job(manifest)["backoffLimit"] == 0
    assert manifest["spec"]["failurePolicy"]["maxRestarts"] == 3


def test_it_says_what_it_takes(manifest):
    (container,) = find_job(manifest)["template"]["spec"]["containers"]
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "/dev/shm" in mounted


def test_its_command_trains_in_as_many_processes(manifest, fractals_dir, tmp_path):
    container = find_job(manifest)["template"]["spec"]["containers"][0]
    count = find_job(manifest)["parallelism"]
    small = options(fractals_dir, tmp_path / "run", train__steps=2)
    replaced = "|".join(re.escape(option.partition("=")[0]) for option in small)
    # Not its GPUs, and what the small run says otherwise.
    kept = [
        word
        for word in container["command"]
        if not re.match(f"({replaced}|--config.parallel.devices)=", word)
    ]
    first_option = next(number for number, word in enumerate(kept) if word.startswith("--"))
    program, rest = kept[1:first_option], kept[first_option:]
    assert "--config.parallel.processes=2" in rest
    address = f"127.0.0.1:{free_port()}"
    processes = [
        start(
            [*small, *rest],
            program,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES=str(count),
            JAX_PROCESS_ID=str(number),
        )
        for number in range(count)
    ]
    ends = finish(processes)
    assert [code for code, _, _ in ends] == [0] * count, ends
    assert result(tmp_path / "run")["step"] == 2
