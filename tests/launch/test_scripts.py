import shutil
import subprocess
import sysconfig

import pytest
from short_run import REPOSITORY

SCRIPTS = sorted(
    path for path in (REPOSITORY / "launch").rglob("*") if path.suffix in (".sh", ".sbatch")
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    shellcheck = shutil.which("shellcheck", path=sysconfig.get_path("scripts"))
    assert shellcheck, "requirements-dev.txt brings it"
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
