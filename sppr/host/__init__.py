"""Read facts about this machine from /proc and /sys, check it for problems, and change it: hugepages, files, processes,
network namespaces, root.

It must not know QEMU, SPP's protocol, tmux or the plan of a lab. Checks get what a lab needs as plain values
(``checks.Requirements``).
"""
