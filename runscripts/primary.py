#!/usr/bin/python3
"""The lab's spp_primary, by hand or in its pane: primary.py -h"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.venv import enter  # noqa: E402

enter(ROOT)

from sppr.cli.part.spp_process import primary as main  # noqa: E402

main(prog_name="primary.py", default_map={"conf": str(ROOT / "conf.yml")})
