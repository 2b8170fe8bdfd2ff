"""Entry point of ``python -m sppr.controller``."""

import sys

from sppr.controller.main import main

if __name__ == "__main__":
    sys.exit(main())
