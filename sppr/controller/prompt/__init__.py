"""The prompt of the controller: its commands, completion, output, and the controllers it can talk to.

It works through the calls of REST only, so that it drives a remote controller exactly like the local one. It must not
know the wire protocol or the dialects of the SPP releases.
"""
