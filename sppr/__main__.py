"""``python -m sppr`` runs the command ``sppr``."""

from sppr.cli.main import main

main(prog_name="sppr")
