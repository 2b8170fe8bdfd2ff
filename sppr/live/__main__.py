"""Entry point of ``python -m sppr.live RUN_DIRECTORY OPTION...``: the controller of a lab.

It is ``python -m sppr.controller`` with the parts and chains of the session whose run directory is given.
"""

import sys
from pathlib import Path

from sppr.controller.main import main
from sppr.live.lab_view import LabView

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], LabView(Path(sys.argv[1]))))
