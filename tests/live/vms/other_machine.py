"""Another machine, for what a guest reaches beyond its host: a network namespace with one address."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

#: Of this machine on the link to the other, and of the other: of the block for measurements (RFC 2544).
HERE, THERE = "198.18.77.1", "198.18.77.2"


@contextlib.contextmanager
def other_machine() -> Iterator[str]:
    """The name of its namespace, for ``ip netns exec``. Needs root."""
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
        # The namespace takes its end of the link with it, but some time later.
        subprocess.run(["ip", "link", "delete", link], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=False)
