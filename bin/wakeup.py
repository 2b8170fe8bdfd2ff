#!/usr/bin/python3
"""Bring up the lab of conf.yml in a tmux session: wakeup.py -h"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.venv import enter  # noqa: E402

enter(ROOT)

from sppr.cli.up import main  # noqa: E402

main(prog_name="wakeup.py", default_map={"conf": str(ROOT / "conf.yml")})
