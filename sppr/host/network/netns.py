"""Named network namespaces, as ``ip netns`` creates them."""

import contextlib
import os
from pathlib import Path

from sppr.host.root import privilege
from sppr.run import which

FOLDER = Path("/run/netns")


def created_at(name: str) -> int | None:
    """Return when the namespace of this name was created, in ns, or None if there is none.

    The time identifies a namespace, because the kernel reuses inode numbers.
    """
    try:
        return (FOLDER / name).stat().st_ctime_ns
    except OSError:
        return None


def create(name: str) -> int:
    """Create a namespace whose loopback is up, and return its creation time. Raise LaunchError if the name exists."""
    for command in create_commands(name):
        privilege.as_root(command)
    found = created_at(name)
    assert found is not None, f"ip netns add {name} succeeded"
    return found


def remove(name: str) -> None:
    """Remove the name. The kernel removes the namespace when the last process in it exits."""
    privilege.as_root(remove_command(name))


def move_in(interface: str, name: str, address: str | None) -> None:
    """Move an interface from this namespace into another one, set its address, and set it up."""
    for command in move_commands(interface, name, address):
        privilege.as_root(command)


def set_address(interface: str, name: str, address: str | None) -> None:
    """Replace the addresses of an interface in another namespace. Raise LaunchError if the interface is not there."""
    for command in address_commands(interface, name, address):
        privilege.as_root(command)


def move_out(interface: str, name: str) -> None:
    """Move an interface from another namespace into that of this process, and set it up.

    Raise LaunchError if the interface is not there.
    """
    privilege.as_root([_ip(), "-n", name, "link", "set", "dev", interface, "netns", str(os.getpid())])
    privilege.as_root([_ip(), "link", "set", "dev", interface, "up"])


def processes(name: str) -> list[int]:
    """Return the ids of the processes in a namespace that this user may inspect."""
    found = []
    with contextlib.suppress(OSError):
        inside = (FOLDER / name).stat().st_ino
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "ns/net").stat().st_ino == inside:
                    found.append(int(folder.name))
    return found


def create_commands(name: str) -> list[list[str]]:
    """Return the commands of ``create``. For a lab they are always the same, so that sudoers can list them exactly."""
    return [[_ip(), "netns", "add", name], [_ip(), "-n", name, "link", "set", "dev", "lo", "up"]]


def remove_command(name: str) -> list[str]:
    """Return the command of ``remove``."""
    return [_ip(), "netns", "delete", name]


def move_commands(interface: str, name: str, address: str | None) -> list[list[str]]:
    """Return the commands of ``move_in``."""
    return [
        [_ip(), "link", "set", "dev", interface, "netns", name],
        *address_commands(interface, name, address),
        [_ip(), "-n", name, "link", "set", "dev", interface, "up"],
    ]


def address_commands(interface: str, name: str, address: str | None) -> list[list[str]]:
    """Return the commands of ``set_address``."""
    inside = [_ip(), "-n", name, "address"]
    found = [[*inside, "flush", "dev", interface, "scope", "global"]]
    return [*found, [*inside, "replace", address, "dev", interface]] if address else found


def exec_command(name: str, argv: list[str]) -> list[str]:
    """Return the command line that runs ``argv`` in the namespace. It needs root."""
    return [_ip(), "netns", "exec", name, *argv]


def _ip() -> str:
    return which("ip") or "/usr/sbin/ip"
