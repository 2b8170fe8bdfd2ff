"""What is beside DPDK and QEMU: sudo, tmux, programs, room on the disk."""

import re
from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotLooked, Requirements, listed, no_images
from sppr.host.facts import Facts

#: 3.2a, the oldest that libtmux takes.
_TMUX = (3, 2, "a")


def _sudo(_: Facts, required: Requirements) -> Iterator[Finding]:
    if required.is_root or required.sudo:
        return
    who = required.user or "a user"
    if required.sudo is None:
        what = f"DPDK needs root for hugepages and ports; this is {who}, and there is no sudo"
        yield Finding("sudo", "error", what, "as root: apt-get install sudo   (or run this as root)")
        return
    line = f"as root: visudo -f /etc/sudoers.d/sppr\n    {required.sudoers}"
    if required.terminal:
        what = f"sudo wants the password of {who}: it is asked once, in the terminal where wakeup runs"
        yield Finding("sudo", "info", what, f"to be asked no more, {line}")
    else:
        what = f"sudo wants the password of {who} to run {required.rooted} as root, and there is no terminal to ask"
        yield Finding("sudo", "error", what, f"run it in a terminal, or {line}")


def _tmux_version(_: Facts, required: Requirements) -> Iterator[Finding]:
    found = re.search(r"(\d+)\.(\d+)([a-z]?)", required.tmux_version)
    if found and (int(found[1]), int(found[2]), found[3]) < _TMUX:
        yield Finding(
            "tmux-ver", "error", f"{required.tmux_version} is too old", "apt-get install tmux   (3.2a or newer)"
        )


def _tmux_environment(_: Facts, required: Requirements) -> Iterator[Finding]:
    """All of it is handled; it is told because it explains what one sees."""
    told = []
    locale = required.environment.get("LC_ALL", "")
    if locale in ("C", "POSIX"):
        told.append(f"LC_ALL={locale}: the separator of tmux's answers is set to ASCII")
    if "TMUX" in required.environment:
        told.append("inside tmux: the session is switched to, not attached")
    if told:
        yield Finding("tmux-env", "info", "; ".join(told), "nothing: it is handled")


def _programs(_: Facts, required: Requirements) -> Iterator[Finding]:
    for program, path in required.programs.items():
        if path is None:
            package = required.packages.get(program, program)
            yield Finding("program", "error", f"{program}: not installed", f"make up   (or: apt-get install {package})")


def _disk(_: Facts, required: Requirements) -> Iterator[Finding]:
    wanted, free = required.disk_mib
    if wanted > free:
        what = f"{required.disk_folder}: {free} MiB free, and the images to be made may take {wanted} MiB"
        yield Finding("disk", "error", what, f"df -h {required.disk_folder}; remove what is not needed there")


def _sudo_seen(_: Facts, required: Requirements) -> str:
    who = required.user or "this user"
    return "this is root, so no sudo is used" if required.is_root else f"sudo -n works for {who} without a password"


def _tmux_version_seen(_: Facts, required: Requirements) -> str | NotLooked:
    if not required.tmux_version:
        return NotLooked("tmux is not installed")
    if not re.search(r"\d+\.\d+", required.tmux_version):
        return NotLooked(f"tmux -V printed {required.tmux_version!r}, without a number")
    return f"{required.tmux_version}; 3.2a or newer is needed"


def _tmux_environment_seen(_: Facts, required: Requirements) -> str:
    locale = required.environment.get("LC_ALL")
    return f"LC_ALL is {locale or 'not set'}, and TMUX is not set"


def _programs_seen(_: Facts, required: Requirements) -> str | NotLooked:
    if not required.programs:
        return NotLooked("no program was looked for")
    return listed((path for path in required.programs.values() if path), "none")


def _modules_seen(_: Facts, required: Requirements) -> str:
    started = [p for p in required.processes if p.role == "controller" and p.real and p.name not in required.living]
    if not started:
        return "no controller of SPP's own is to start"
    return listed((f"{p.name}: {p.argv[0]} imports its modules" for p in started), "none")


def _paths_seen(_: Facts, required: Requirements) -> str:
    names = dict.fromkeys(p.argv[0] for p in required.spp if p.name not in required.living)
    found = [*names, *(disk.path for disk in required.disks)]
    return f"these exist: {', '.join(found)}" if found else "no SPP process and no VM is to start"


def _disk_seen(_: Facts, required: Requirements) -> str | NotLooked:
    if not required.disk_folder:
        return no_images(required)
    wanted, free = required.disk_mib
    return f"{required.disk_folder}: {free} MiB are free, images that are to be made take at most {wanted} MiB"


CHECKS = (
    Check(
        "sudo",
        "sudo asked for a password where nobody could type it",
        "run wakeup in a terminal, where it asks once; or a NOPASSWD line: sppr doctor prints it",
        _sudo_seen,
        (r"sudo: a terminal is required to read the password", r"sudo: a password is required"),
        look=_sudo,
        host=True,
    ),
    Check(
        "tmux-ver",
        "tmux is too old",
        "apt-get install tmux   (3.2a or newer)",
        _tmux_version_seen,
        (r"libtmux (only )?supports tmux",),
        look=_tmux_version,
        host=True,
    ),
    Check(
        "tmux-env",
        "the user's environment and tmux",
        "nothing: it is handled",
        _tmux_environment_seen,
        look=_tmux_environment,
        host=True,
        severity="info",
    ),
    Check(
        "program",
        "a program is not installed",
        "make up   (installs all it needs)",
        _programs_seen,
        (r"command not found",),
        look=_programs,
        host=True,
    ),
    Check(
        "py-module",
        "the Python that runs SPP's own controllers lacks a module, or has a PyYAML that its CLI cannot use",
        "sppr doctor   (names the module, the interpreter and the pip line)",
        _modules_seen,
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
        _paths_seen,
        (r"^(?:-|/\S*/)?(?:\w*sh|env|exec)\b.*: (?:No such file or directory|not found|Permission denied)$",),
    ),
    Check(
        "disk",
        "the disk is full",
        "df -h; remove what is not needed in the images' folder, then again: nothing half-made is used",
        _disk_seen,
        (r"No space left on device",),
        look=_disk,
    ),
)
