"""Determine which programs of a lab run as root, and the sudoers line that permits them without a password."""

import os
from collections.abc import Iterable
from pathlib import Path

from sppr.host.network import netns
from sppr.host.root import leftovers, privilege
from sppr.lab.chains import ends
from sppr.lab.plan.plan import Plan
from sppr.parts.part import Part
from sppr.run import which
from sppr.spp.tree import BUILD_DIR


def programs(parts: Iterable[Part]) -> list[str]:
    """Return the paths of the programs that the panes of these parts run as root."""
    return list(dict.fromkeys(part.program[0] for part in parts if part.as_root))


def sudoers_line(plan: Plan) -> str:
    """Return the sudoers line of a lab.

    It permits the programs with any arguments, the commands of ``down`` with exactly their arguments, and kill for a
    program that hangs. With upstream SPP it also permits chown, because upstream programs cannot give their sockets to
    the user.
    """
    commands = [[program] for program in programs(plan.parts)]
    commands += leftovers.remove_commands(plan.file_prefix, Path(plan.huge_dir))
    for end in plan.wiring.ends:
        name = ends.name_of(plan, end)
        commands += [
            *netns.create_commands(name),
            *netns.move_commands(end.interface, name, end.address or None),
            netns.remove_command(name),
        ]
    commands.append([which("kill") or "/usr/bin/kill"])
    if any(Path(program).parent != BUILD_DIR for program in programs(plan.parts)):
        sockets = (*plan.vdev_sockets, *(s for part in plan.parts for s in part.sockets))
        chown = which("chown") or "/usr/bin/chown"
        commands += [[chown, "-h", str(os.getuid()), socket] for socket in sockets]
    return privilege.sudoers_line(commands)
