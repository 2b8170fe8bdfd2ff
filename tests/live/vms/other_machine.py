"""Another machine for the network tests of guests: a network namespace with one address."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

#: The addresses of this machine and of the other on their link, from the block for benchmarks (RFC 2544).
HERE, THERE = "198.18.77.1", "198.18.77.2"


@contextlib.contextmanager
def other_machine() -> Iterator[str]:
    """Create the namespace, and yield its name for ``ip netns exec``. Needs root."""
    name, link = f"sppr-other-{os.getpid()}", f"so{os.getpid() % 10**6}"
    inside = ["ip", "-n", name]
    commands = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["ip", "address", "add", f"{HERE}/30", "dev", link], ["ip", "link", "set", link, "up"],
        [*inside, "address", "add", f"{THERE}/30", "dev", "eth0"], [*inside, "link", "set", "eth0", "up"],
    ]  # fmt: skip
    try:
        for command in commands:
            subprocess.run(command, check=True)
        yield name
    finally:
        # The end of the link in the namespace is removed with it, but later.
        subprocess.run(["ip", "link", "delete", link], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=False)
