"""What is beside DPDK and QEMU: root, sudo, tmux, programs, room on the disk."""

import re
from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, Needs
from sppr.host.facts import Facts

#: 3.2a, the oldest that libtmux takes.
_TMUX = (3, 2, "a")


def _root(_: Facts, needs: Needs) -> Iterator[Finding]:
    if not needs.is_root:
        what = "DPDK needs root for hugepages and ports, and this is not root"
        yield Finding("root", "error", what, "sudo -E ./bin/wakeup.py")


def sudoers(needs: Needs) -> str:
    """The line that lets sudo ask for nothing: for the lab's SPP programs, or for all where no lab is known."""
    programs = ", ".join(dict.fromkeys(process.argv[0] for process in needs.spp))
    return f"{needs.user or 'USER'} ALL=(root) NOPASSWD: {programs or 'ALL'}"


def _sudo(_: Facts, needs: Needs) -> Iterator[Finding]:
    if needs.is_root or needs.sudo:
        return
    if needs.sudo is None:
        yield Finding("sudo", "warning", "not root, and sudo is not installed", "run it as root")
        return
    what = "sudo asks for a password, and each pane is a terminal of its own: it would ask in every pane"
    line = sudoers(needs)
    fix = f"sudo -v first; or, with visudo -f /etc/sudoers.d/sppr: {line}   (or: Defaults timestamp_type=global)"
    yield Finding("sudo", "warning", what, fix)


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
        "root",
        "this needs root",
        "sudo -E ./bin/wakeup.py",
        "this is root",
        look=_root,
        host=True,
    ),
    Check(
        "sudo",
        "sudo asked for a password where nobody could type it",
        "sudo -v in this terminal first, or a NOPASSWD line: sppr doctor prints it",
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
