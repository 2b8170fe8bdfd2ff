"""Network namespaces with a name, as ``ip netns`` makes them."""

import contextlib
import os
from pathlib import Path

from sppr.host.root import privilege
from sppr.run import which

FOLDER = Path("/run/netns")


def made_at(name: str) -> int | None:
    """Return when the namespace of this name was created, in ns. None where there is no such namespace.

    The time identifies a namespace: the kernel reuses inode numbers.
    """
    try:
        return (FOLDER / name).stat().st_ctime_ns
    except OSError:
        return None


def create(name: str) -> int:
    """Make a namespace whose loopback is up, and return when. LaunchError where one of that name exists."""
    for command in creating(name):
        privilege.as_root(command)
    found = made_at(name)
    assert found is not None, f"ip netns add {name} succeeded"
    return found


def remove(name: str) -> None:
    """Remove the name. The namespace itself goes with the last process in it."""
    privilege.as_root(removing(name))


def take(interface: str, name: str, address: str | None) -> None:
    """Move an interface of this namespace into another one, with its address, and set it up."""
    for command in taking(interface, name, address):
        privilege.as_root(command)


def set_address(interface: str, name: str, address: str | None) -> None:
    """Replace the addresses of an interface in another namespace. LaunchError where it is not there."""
    for command in addressing(interface, name, address):
        privilege.as_root(command)


def give_back(interface: str, name: str) -> None:
    """Move an interface from another namespace into that of this process, and set it up. LaunchError where it is not
    there."""
    privilege.as_root([_ip(), "-n", name, "link", "set", "dev", interface, "netns", str(os.getpid())])
    privilege.as_root([_ip(), "link", "set", "dev", interface, "up"])


def processes(name: str) -> list[int]:
    """Return the ids of the processes in a namespace, of those that this user may inspect."""
    found = []
    with contextlib.suppress(OSError):
        inside = (FOLDER / name).stat().st_ino
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "ns/net").stat().st_ino == inside:
                    found.append(int(folder.name))
    return found


def creating(name: str) -> list[list[str]]:
    """The commands of ``create``: always the same for a lab, so that sudoers can name them to the letter."""
    return [[_ip(), "netns", "add", name], [_ip(), "-n", name, "link", "set", "dev", "lo", "up"]]


def removing(name: str) -> list[str]:
    return [_ip(), "netns", "delete", name]


def taking(interface: str, name: str, address: str | None) -> list[list[str]]:
    return [
        [_ip(), "link", "set", "dev", interface, "netns", name],
        *addressing(interface, name, address),
        [_ip(), "-n", name, "link", "set", "dev", interface, "up"],
    ]


def addressing(interface: str, name: str, address: str | None) -> list[list[str]]:
    inside = [_ip(), "-n", name, "address"]
    found = [[*inside, "flush", "dev", interface, "scope", "global"]]
    return [*found, [*inside, "replace", address, "dev", interface]] if address else found


def entering(name: str, argv: list[str]) -> list[str]:
    """Return the command line, for root, that runs ``argv`` in the namespace."""
    return [_ip(), "netns", "exec", name, *argv]


def _ip() -> str:
    return which("ip") or "/usr/sbin/ip"
