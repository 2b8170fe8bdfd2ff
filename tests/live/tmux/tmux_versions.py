"""A newer tmux than that of this machine: Debian's backport, unpacked below build/ and not installed."""

import os
import platform
import subprocess
from pathlib import Path

from tests.conftest import ROOT

FOLDER = ROOT / "build" / "tmux-backport"


def backport() -> Path:
    """Return the folder with ``tmux`` of Debian's backports. apt-get downloads it once: half a megabyte, 3 s."""
    program = FOLDER / "usr/bin/tmux"
    if not program.exists():
        _fetch()
    return program.parent


def version(folder: Path) -> str:
    return subprocess.run([folder / "tmux", "-V"], capture_output=True, text=True, check=True).stdout.strip()


def _fetch() -> None:
    """Run apt-get with its own lists, cache and sources: those of the machine do not change."""
    apt = FOLDER / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    sites = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()
    paths = next(s for s in sites if s.rstrip("/").endswith("/debian"))
    (apt / "sources").write_text(
        f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {paths} {suite}-backports main\n"
    )
    own = [f"Dir::Etc::sourcelist={apt}/sources", "Dir::Etc::sourceparts=-", f"Dir::State::lists={apt}/lists"]
    own += [f"Dir::Cache={apt}/cache", "APT::Sandbox::User=root"]
    options = [word for option in own for word in ("-o", option)]
    _run("apt-get", *options, "-qq", "update")
    _run("apt-get", *options, "-qq", "download", f"tmux/{suite}-backports", cwd=apt)
    _run("dpkg-deb", "-x", str(next(apt.glob("tmux_*.deb"))), str(FOLDER))


def _run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout
