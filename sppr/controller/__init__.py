"""The controller that ships with sppr: a server for SPP processes, REST, a prompt. A program of its own.

The launcher imports ``client`` only. Nothing is imported here: that would cost its start-up time.
"""
