"""Start, observe and stop a lab: plan it, execute the plan, keep its state on disk, prove its service chains.

This package must not know the command line: only ``cli/`` prints, prompts and sets exit statuses.
"""
