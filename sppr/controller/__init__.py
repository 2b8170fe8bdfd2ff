"""The controller of sppr, a program of its own: it serves SPP processes, REST and a prompt. The patch panel at the top
is the interface between these packages.

It must not know the lab: it imports sppr.spp, sppr.host and the modules of layer 0 only. This file imports nothing, so
that importing a module of the package stays fast.
"""
