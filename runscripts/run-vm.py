#!/usr/bin/python3
"""One VM of the lab, by hand or in its pane: run-vm.py -h"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.venv import enter  # noqa: E402

enter(ROOT)

from sppr.cli.part.vm import main  # noqa: E402

main(prog_name="run-vm.py", default_map={"conf": str(ROOT / "conf.yml")})
