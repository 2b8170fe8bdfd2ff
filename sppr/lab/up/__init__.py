"""Start the parts of a lab: check the machine, create artifacts and panes, and wait until every part is ready.

This package must not decide what to start: ``lab/state/reconcile.py`` does. It reports progress to a receiver and must
not print.
"""
