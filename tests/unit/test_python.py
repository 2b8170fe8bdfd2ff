"""The Python interpreter that runs our programs."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_interpreter_path_is_independent_of_its_call() -> None:
    """Two paths would be reported as a difference between the running lab and conf.yml."""
    names = [Path(sys.prefix, "bin", name) for name in ("python", "python3")]
    code = "from sppr.run import PYTHON; print(PYTHON)"
    printed = {
        subprocess.run([name, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in names
    }
    assert printed == {f"{names[1]}\n"}
