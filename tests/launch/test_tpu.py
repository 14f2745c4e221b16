import shlex
import subprocess

from short_run import REPOSITORY


def run(*arguments):
    """Run launch/tpu/run.sh from somewhere else."""
    return subprocess.run(
        [REPOSITORY / "launch" / "tpu" / "run.sh", *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_dry_run_prints_what_would_be_run_on_every_host():
    options = ["--config=configs/demo.py", "--workdir=/mnt/my runs/demo"]
    done = run("--name=slice", "--zone=europe-west4-b", "--dry_run", "--", *options)
    assert done.returncode == 0
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    assert [command[:5] for command in commands[1:]] == [
        ["gcloud", "compute", "tpus", "tpu-vm", what] for what in ("scp", "ssh", "ssh")
    ]
    assert all({"--worker=all", "--zone=europe-west4-b"} <= {*words} for words in commands[1:])
    remote = shlex.split(commands[-1][-1].removeprefix("--command="))
    assert remote[-4:] == ["-m", "alexnet_jax.main", *options]


def test_the_hosts_install_the_jax_of_the_requirements():
    done = run("--name=slice", "--zone=z", "--dry_run", "--", "--workdir=w")
    pinned = next(
        line
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if line.startswith("jax==")
    )
    install = shlex.split(done.stdout.splitlines()[2])[-1]
    assert install.endswith(f"'{pinned.replace('jax', 'jax[tpu]')}'")


def test_what_is_missing_is_named():
    done = run("--name=slice")
    assert done.returncode == 2
    assert "--zone=ZONE" in done.stderr


def test_an_unknown_option_is_named():
    done = run("--names=slice")
    assert (done.returncode, "unknown option --names=slice" in done.stderr) == (2, True)
