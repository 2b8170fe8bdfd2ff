"""The control connections of VMs: one unix socket, on which a VM can be nothing but itself.

A guest reaches the controller through its QEMU alone: the user network of a VM forwards one address (10.0.2.100) to a
chardev of QEMU, which connects to this socket. The kernel names the process on the other end, and the command line of
that process the VM. So a guest can neither take another id nor reach another port of the host.

QEMU keeps the connection while the guest's spp_vm starts, stops and starts again, and does not report it. spp_vm
therefore sends HELLO first. A HELLO in a connection that is in use means a new spp_vm: the connection is closed, and
QEMU connects again within a second. A first HELLO that no answer follows is treated alike: QEMU passed the question
that waits for an answer to a spp_vm that had ended.
"""

import itertools
import re
import socket
import struct
from pathlib import Path

#: What spp_vm sends when it has connected (dataplane/control/connection.c). No reply of an SPP process contains it.
HELLO = b"\0spp_vm hello 1\0\n"
#: Seconds in which the answer to a waiting question must follow a HELLO.
HELLO_TIMEOUT = 1.0
_NAME = re.compile(rb"guest=vm-[a-z](\d{1,3})(?:,|$)")


def vm_id(sock: socket.socket, uids: frozenset[int], proc: Path = Path("/proc")) -> int | str:
    """Return the id of the VM whose QEMU is connected to the unix socket ``sock``, or why the connection is refused."""
    pid, uid, _ = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in uids:
        return f"uid {uid} may not connect to the socket of VMs"
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "its process has ended"
    for option, value in itertools.pairwise(words):
        if option == b"-name" and (found := _NAME.match(value)):
            return int(found[1])
    return f"pid {pid} is not the QEMU of a VM of this lab"
