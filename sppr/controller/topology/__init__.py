"""The drawings of ``topo``: the connected processes and their ports as a graph, in several formats.

It reads statuses only. It must not know REST, connections or the terminal.
"""
