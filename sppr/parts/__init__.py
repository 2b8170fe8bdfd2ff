"""Define the parts of a lab as values: the command line of each process, and the signs by which it counts as ready.

This package must not know sessions, plans or the command line of ``sppr`` (``lab/`` and ``cli/``).
"""
