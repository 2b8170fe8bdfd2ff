"""Make the plan of a lab, a pure value, from conf.yml, the flags and the facts of the machine.

This package must not know how a plan is executed (``lab/up/``, ``lab/down/``), and must not print (``cli/``).
"""
