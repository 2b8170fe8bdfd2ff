"""Keep the state of a session on disk, observe what runs, and compute the changes towards a plan.

This package must not start or stop anything (``lab/up/`` and ``lab/down/`` do), and must not need conf.yml.
"""
