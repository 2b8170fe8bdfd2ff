"""Build QEMU command lines, talk to a running QEMU (QMP, serial console), test KVM, and connect guests to other
machines through passt.

It knows a virtual machine as devices and files. It must not know the parts of a lab, its images or its tmux session.
"""
