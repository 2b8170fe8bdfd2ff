"""Create tmux sessions, find and change them, and write the script that each pane runs.

This package is the only one that imports libtmux. It knows panes and their files, but not what runs in a pane: it must
not import the packages of parts, plans, QEMU or SPP.
"""
