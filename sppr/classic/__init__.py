"""Runs the spp.py of SPP 16.07 to 18.05, the controller of these releases, on a pseudo terminal: the user has its
prompt, and the launcher sends requests through it.

It must not know the lab: it imports sppr.spp, the dialects and checks of sppr.controller, and the modules of layer 0
only.
"""
