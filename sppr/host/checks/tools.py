"""Checks of what a lab needs in addition to DPDK and QEMU: sudo, tmux, programs, disk space."""

import re
from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotChecked, Requirements, listed, no_images
from sppr.host.facts import Facts

#: 3.2a, the oldest release that libtmux supports.
_TMUX = (3, 2, "a")


def _sudo(_: Facts, required: Requirements) -> Iterator[Finding]:
    if required.is_root or required.sudo:
        return
    who = required.user or "a user"
    if required.sudo is None:
        what = f"DPDK needs root for hugepages and ports, but the user is {who} and there is no sudo"
        yield Finding("sudo", "error", what, "as root: apt-get install sudo   (or run this as root)")
        return
    line = f"as root: visudo -f /etc/sudoers.d/sppr\n    {required.sudoers}"
    if required.terminal:
        what = f"sudo needs the password of {who}: wakeup asks once, in its terminal"
        yield Finding("sudo", "info", what, f"to avoid the question, {line}")
    else:
        what = f"sudo needs the password of {who} to run {required.root_programs} as root, but there is no terminal"
        yield Finding("sudo", "error", what, f"run it in a terminal, or {line}")


def _tmux_version(_: Facts, required: Requirements) -> Iterator[Finding]:
    found = re.search(r"(\d+)\.(\d+)([a-z]?)", required.tmux_version)
    if found and (int(found[1]), int(found[2]), found[3]) < _TMUX:
        yield Finding(
            "tmux-ver", "error", f"{required.tmux_version} is too old", "apt-get install tmux   (3.2a or newer)"
        )


def _tmux_environment(_: Facts, required: Requirements) -> Iterator[Finding]:
    """Report environment variables that sppr handles, because they explain differences that the user can see."""
    reports = []
    locale = required.environment.get("LC_ALL", "")
    if locale in ("C", "POSIX"):
        reports.append(f"LC_ALL={locale}: the separator in tmux output is set to ASCII")
    if "TMUX" in required.environment:
        reports.append("inside tmux: the client switches to the session instead of attaching")
    if reports:
        yield Finding("tmux-env", "info", "; ".join(reports), "none needed: sppr handles it")


def _programs(_: Facts, required: Requirements) -> Iterator[Finding]:
    for program, path in required.programs.items():
        if path is None:
            package = required.packages.get(program, program)
            yield Finding("program", "error", f"{program}: not installed", f"make up   (or: apt-get install {package})")


def _disk(_: Facts, required: Requirements) -> Iterator[Finding]:
    needed, free = required.disk_mib
    if needed > free:
        what = f"{required.disk_folder}: {free} MiB are free, but new images may take {needed} MiB"
        yield Finding("disk", "error", what, f"df -h {required.disk_folder}; remove files that are not needed")


def _sudo_ok(_: Facts, required: Requirements) -> str:
    who = required.user or "this user"
    return (
        "the user is root, so sudo is not used" if required.is_root else f"sudo -n works for {who} without a password"
    )


def _tmux_version_ok(_: Facts, required: Requirements) -> str | NotChecked:
    if not required.tmux_version:
        return NotChecked("tmux is not installed")
    if not re.search(r"\d+\.\d+", required.tmux_version):
        return NotChecked(f"tmux -V printed {required.tmux_version!r}, without a number")
    return f"{required.tmux_version}; 3.2a or newer is needed"


def _tmux_environment_ok(_: Facts, required: Requirements) -> str:
    locale = required.environment.get("LC_ALL")
    return f"LC_ALL is {locale or 'not set'}, and TMUX is not set"


def _programs_ok(_: Facts, required: Requirements) -> str | NotChecked:
    if not required.programs:
        return NotChecked("no program was searched")
    return listed((path for path in required.programs.values() if path), "none")


def _modules_ok(_: Facts, required: Requirements) -> str:
    started = [
        p for p in required.processes if p.role == "controller" and p.upstream and p.name not in required.running
    ]
    if not started:
        return "no controller of upstream SPP will be started"
    return listed((f"{p.name}: {p.argv[0]} imports its modules" for p in started), "none")


def _paths_ok(_: Facts, required: Requirements) -> str:
    names = dict.fromkeys(p.argv[0] for p in required.spp if p.name not in required.running)
    found = [*names, *(disk.path for disk in required.disks)]
    return f"these exist: {', '.join(found)}" if found else "no SPP process and no VM will be started"


def _disk_ok(_: Facts, required: Requirements) -> str | NotChecked:
    if not required.disk_folder:
        return no_images(required)
    needed, free = required.disk_mib
    return f"{required.disk_folder}: {free} MiB are free, new images take at most {needed} MiB"


CHECKS = (
    Check(
        "sudo",
        "sudo asked for a password without a terminal",
        "run wakeup in a terminal, where it asks once; or add the NOPASSWD line that sppr doctor prints",
        _sudo_ok,
        (r"sudo: a terminal is required to read the password", r"sudo: a password is required"),
        inspect=_sudo,
        host=True,
    ),
    Check(
        "tmux-ver",
        "tmux is too old",
        "apt-get install tmux   (3.2a or newer)",
        _tmux_version_ok,
        (r"libtmux (only )?supports tmux",),
        inspect=_tmux_version,
        host=True,
    ),
    Check(
        "tmux-env",
        "an environment variable changes what tmux does",
        "none needed: sppr handles it",
        _tmux_environment_ok,
        inspect=_tmux_environment,
        host=True,
        severity="info",
    ),
    Check(
        "program",
        "a program is not installed",
        "make up   (installs all required programs)",
        _programs_ok,
        (r"command not found",),
        inspect=_programs,
        host=True,
    ),
    Check(
        "py-module",
        "the Python for the controllers of upstream SPP lacks a module, or its PyYAML is too new for their CLI",
        "sppr doctor   (names the module, the interpreter and the pip line)",
        _modules_ok,
        (
            r"(?:ModuleNotFound|Import)Error: No module named '?"
            r"(?:eventlet|bottle|netaddr|requests|yaml|queue|socketserver|Queue|SocketServer)\b",
            r"TypeError: load\(\) missing 1 required positional argument: 'Loader'",
        ),
    ),
    Check(
        "paths",
        "a program or folder that conf.yml or the command line names does not exist",
        "check it with ls -l; spp.dir, images.dir and images.base in conf.yml name folders; sppr plan prints "
        "each command",
        _paths_ok,
        (r"^(?:-|/\S*/)?(?:\w*sh|env|exec)\b.*: (?:No such file or directory|not found|Permission denied)$",),
    ),
    Check(
        "disk",
        "the disk is full",
        "df -h; remove images that are not needed, then repeat the command: incomplete images are not used",
        _disk_ok,
        (r"No space left on device",),
        inspect=_disk,
    ),
)
