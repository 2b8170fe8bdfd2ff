#!/usr/bin/python3
"""One secondary of the lab, by hand or in its pane: secondary.py -h"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.venv import enter  # noqa: E402

enter(ROOT)

from sppr.cli.part.spp_process import secondary as main  # noqa: E402

main(prog_name="secondary.py", default_map={"conf": str(ROOT / "conf.yml")})
