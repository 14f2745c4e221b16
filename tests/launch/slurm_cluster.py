"""A real Slurm cluster of two nodes on this machine, private to a folder: no systemd, no /etc.

Slurm's daemons may run several times on one host if nodes have names, ports and spool folders of
their own. `low` gives way to `high`: its jobs get SIGTERM and are requeued.
"""

import getpass
import os
import shutil
import signal
import subprocess
import time

from cluster_runs import environment, free_port
from short_run import REPOSITORY

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_CONFIG = """
ClusterName=alexnet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A requeued job begins again when its old credential has expired: not after the usual 120 s.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Nothing that needs cgroups or another daemon.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,requeue_delay=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
# As large as the script asks for: Slurm believes it.
NodeName=DEFAULT CPUs=32 RealMemory=256000 Gres=gpu:2 State=UNKNOWN
NodeName=n0 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_0}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_1}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
_GPUS = """
NodeName=n0 Name=gpu File=/dev/tty[0-1]
NodeName=n1 Name=gpu File=/dev/tty[2-3]
"""


def missing_programs():
    return [program for program in PROGRAMS if find(program) is None]


def find(program):
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class SlurmCluster:
    """The cluster, as a context, and its commands."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = environment(SLURM_CONF=str(folder / "slurm.conf"))

    def __enter__(self):
        self._configure()
        # Root's munged minds that others may write above its folder; others must not force it.
        force = ["--force"] if os.geteuid() == 0 else []
        files = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.folder}/{name}" for option, name in files.items()]
        self._start("munged", *force, *options)
        self._start("slurmctld")
        self._start("slurmd", "-N", "n0")
        self._start("slurmd", "-N", "n1")
        self.wait_until(lambda: self.command("sinfo", "-h", "-p", "low", "-o", "%T") == "idle")
        return self

    def __exit__(self, *failure):
        self.end_jobs()
        for name in ("slurmd-n0", "slurmd-n1", "slurmctld", "munged"):
            file = self.folder / f"{name}.pid"
            os.kill(int(file.read_text()), signal.SIGTERM)
            self.wait_until(lambda file=file: not file.exists())

    def command(self, *words, **variables):
        """Run a command of Slurm and return what it prints."""
        done = subprocess.run(
            words,
            cwd=REPOSITORY,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, *words, **variables):
        """Submit a job and return its number."""
        return self.command("sbatch", "--parsable", *words, **variables)

    def end_jobs(self):
        """Kill the jobs that a failed test has left."""
        self.command("scancel", "--user", getpass.getuser(), "--signal=KILL", "--full")
        self.wait_until(lambda: self.command("squeue", "-h") == "")

    def state(self, job):
        """Return the states of a job's tasks, each once: "RUNNING", "COMPLETED"."""
        states = self.command("squeue", "-h", "--states=all", "-o", "%T", "-j", job)
        return " ".join(sorted(set(states.split())))

    def wait_for_state(self, job, state):
        self.wait_until(lambda: self.state(job) == state, lambda: self.state(job))

    def wait_until(self, condition, say=str):
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, f"after 300 s: {say()}"
            time.sleep(0.2)

    def _configure(self):
        for name in ("state", "spool-n0", "spool-n1"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        config = _CONFIG.format(
            host=os.uname().nodename.partition(".")[0],
            user=getpass.getuser(),
            folder=self.folder,
            control_port=free_port(),
            port_0=free_port(),
            port_1=free_port(),
        )
        (self.folder / "slurm.conf").write_text(config)
        (self.folder / "gres.conf").write_text(_GPUS)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def _start(self, program, *options):
        # They go on in the background, and must not hold the pipes of the tests open.
        subprocess.run([find(program), *options], env=self.environment, check=True, timeout=300)
