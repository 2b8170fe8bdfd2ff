"""What is beside DPDK and QEMU: sudo, tmux, programs, room on the disk."""

import re
from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, Needs
from sppr.host.facts import Facts

#: 3.2a, the oldest that libtmux takes.
_TMUX = (3, 2, "a")


def _sudo(_: Facts, needs: Needs) -> Iterator[Finding]:
    if needs.is_root or needs.sudo:
        return
    who = needs.user or "a user"
    if needs.sudo is None:
        what = f"DPDK needs root for hugepages and ports; this is {who}, and there is no sudo"
        yield Finding("sudo", "error", what, "as root: apt-get install sudo   (or run this as root)")
        return
    line = f"as root: visudo -f /etc/sudoers.d/sppr\n    {needs.sudoers}"
    if needs.terminal:
        what = f"sudo wants the password of {who}: it is asked once, in the terminal where wakeup runs"
        yield Finding("sudo", "info", what, f"to be asked no more, {line}")
    else:
        what = f"sudo wants the password of {who} to run {needs.rooted} as root, and there is no terminal to ask"
        yield Finding("sudo", "error", what, f"run it in a terminal, or {line}")


def _tmux_version(_: Facts, needs: Needs) -> Iterator[Finding]:
    found = re.search(r"(\d+)\.(\d+)([a-z]?)", needs.tmux_version)
    if found and (int(found[1]), int(found[2]), found[3]) < _TMUX:
        yield Finding("tmux-ver", "error", f"{needs.tmux_version} is too old", "apt-get install tmux   (3.2a or newer)")


def _tmux_environment(_: Facts, needs: Needs) -> Iterator[Finding]:
    """All of it is handled; it is told because it explains what one sees."""
    told = []
    locale = needs.environment.get("LC_ALL", "")
    if locale in ("C", "POSIX"):
        told.append(f"LC_ALL={locale}: the separator of tmux's answers is set to ASCII")
    if "TMUX" in needs.environment:
        told.append("inside tmux: the session is switched to, not attached")
    if told:
        yield Finding("tmux-env", "info", "; ".join(told), "nothing: it is handled")


def _programs(_: Facts, needs: Needs) -> Iterator[Finding]:
    for program, path in needs.programs.items():
        if path is None:
            package = needs.packages.get(program, program)
            yield Finding("program", "error", f"{program}: not installed", f"make up   (or: apt-get install {package})")


def _disk(_: Facts, needs: Needs) -> Iterator[Finding]:
    wanted, free = needs.disk_mib
    if wanted > free:
        what = f"{needs.disk_folder}: {free} MiB free, and the images to be made may take {wanted} MiB"
        yield Finding("disk", "error", what, f"df -h {needs.disk_folder}; remove what is not needed there")


CHECKS = (
    Check(
        "sudo",
        "sudo asked for a password where nobody could type it",
        "run wakeup in a terminal, where it asks once; or a NOPASSWD line: sppr doctor prints it",
        "sudo asks for nothing, or is not needed",
        (r"sudo: a terminal is required to read the password", r"sudo: a password is required"),
        look=_sudo,
        host=True,
    ),
    Check(
        "tmux-ver",
        "tmux is too old",
        "apt-get install tmux   (3.2a or newer)",
        "tmux is new enough",
        (r"libtmux (only )?supports tmux",),
        look=_tmux_version,
        host=True,
    ),
    Check(
        "tmux-env",
        "the user's environment and tmux",
        "nothing: it is handled",
        "nothing in the environment troubles tmux",
        look=_tmux_environment,
        host=True,
        severity="info",
    ),
    Check(
        "program",
        "a program is not installed",
        "make up   (installs all it needs)",
        "every program is installed",
        (r"command not found",),
        look=_programs,
        host=True,
    ),
    Check(
        "py-module",
        "the Python that runs SPP's own controllers lacks a module, or has a PyYAML that its CLI cannot use",
        "sppr doctor   (names the module, the interpreter and the pip line)",
        "modules of the Python that runs SPP's controllers are checked with the paths",
        (
            r"(?:ModuleNotFound|Import)Error: No module named '?"
            r"(?:eventlet|bottle|netaddr|requests|yaml|queue|socketserver|Queue|SocketServer)\b",
            r"TypeError: load\(\) missing 1 required positional argument: 'Loader'",
        ),
    ),
    Check(
        "paths",
        "a program or a folder named in conf.yml or on the line is not there",
        "ls -l it; spp.dir, images.dir and images.base in conf.yml name folders; sppr plan prints each command",
        "all programs and images are where they should be",
        (r"^(?:-|/\S*/)?(?:\w*sh|env|exec)\b.*: (?:No such file or directory|not found|Permission denied)$",),
    ),
    Check(
        "disk",
        "the disk is full",
        "df -h; remove what is not needed in the images' folder, then again: nothing half-made is used",
        "there is room for the images",
        (r"No space left on device",),
        look=_disk,
    ),
)
