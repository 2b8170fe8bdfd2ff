#!/usr/bin/python3
"""The lab's controller, by hand or in its pane: controller.py -h"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.venv import enter  # noqa: E402

enter(ROOT)

from sppr.cli.part.controller import main  # noqa: E402

main(prog_name="controller.py", default_map={"conf": str(ROOT / "conf.yml")})
