"""Stop a session and remove everything it created, with or without a readable state.

This package must not need conf.yml: the run directory, tmux and /proc are enough.
"""
