"""``python -m sppr``: the same as ``sppr``."""

from sppr.cli.main import main

main(prog_name="sppr")
