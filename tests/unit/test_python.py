"""The Python that our programs are started with."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_it_has_one_name_whatever_it_was_called_by() -> None:
    """Two names of it would be told as a difference between what runs and what conf.yml says."""
    names = [Path(sys.prefix, "bin", name) for name in ("python", "python3")]
    code = "from sppr.run import PYTHON; print(PYTHON)"
    printed = {
        subprocess.run([name, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in names
    }
    assert printed == {f"{names[1]}\n"}
