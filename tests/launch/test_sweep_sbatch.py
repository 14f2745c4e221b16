import subprocess

from short_run import REPOSITORY


def test_the_script_of_a_sweep_on_slurm_is_sound_bash():
    script = REPOSITORY / "launch" / "slurm" / "sweep.sbatch"
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
