"""What sppr knows about SPP: its releases and their differences, names of ports and processes, EAL options, paths of
its programs, and a client of the controller's REST API.

It must not know plans, parts or sessions of a lab.
"""
