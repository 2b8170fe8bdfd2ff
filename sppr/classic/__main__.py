"""Entry point of ``python -m sppr.classic --api-socket PATH … -- PYTHON spp.py …``."""

import sys

from sppr.classic.main import main

if __name__ == "__main__":
    sys.exit(main())
