"""Wire the service chains of a lab: plan their patches, apply them, determine their state, measure them, save them.

This package must not start or stop parts (``lab/up/`` and ``lab/down/`` do), and must not print (``cli/``).
"""
