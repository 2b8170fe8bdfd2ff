"""bin/install-packages installs the packages of bin/packages, by their names in this distribution."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLE = (ROOT / "bin/packages").read_text()
LINES = [line.split() for line in TABLE.splitlines() if re.match(r"(up|test) ", line)]
SUITES = next(line.split()[1:] for line in TABLE.splitlines() if line.startswith("suites "))
#: The programs that the script calls.
TOOLS = ("sh", "sed", "cat", "dirname", "id", "mktemp", "rm", "env")


class Machine:
    """A machine with a given distribution. Its ``apt-get`` logs its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.program("dpkg-query", 'case " $INSTALLED " in *" $4 "*) echo "ii ";; *) exit 1;; esac')
        self.program("apt-get", 'echo "$*" >>"$CALLS"; exit "${APT_STATUS:-0}"')
        self.program("sudo", 'exec "$@"')
        self.calls = folder / "calls"
        self.calls.touch()

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def install(self, os_release: str, *uses: str, **env: str) -> subprocess.CompletedProcess[str]:
        release = self.folder / "os-release"
        release.write_text(os_release)
        # Without the folders that the script appends to PATH, nothing of this machine is found.
        script = self.folder / "install-packages"
        text = (ROOT / "bin/install-packages").read_text()
        script.write_text(re.sub(r"^PATH=.*$", "", text, count=1, flags=re.MULTILINE))
        script.chmod(0o755)
        shutil.copy(ROOT / "bin/packages", self.folder)
        env = {"PATH": str(self.bin), "OS_RELEASE": str(release), "CALLS": str(self.calls), **env}
        return subprocess.run([script, *uses], env=env, capture_output=True, text=True, check=False)

    def installed(self) -> set[str]:
        """The packages in the call of apt-get."""
        lines = [line for line in self.calls.read_text().splitlines() if line.startswith("install")]
        return {word for line in lines for word in line.split()[1:] if not word.startswith("-")}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def release(suite: str) -> str:
    return f'PRETTY_NAME="Some {suite}"\nVERSION_CODENAME={suite}\n'


def test_each_line_of_the_table_is_complete() -> None:
    assert len({name for _, name, *_ in LINES}) == len(LINES) > 20
    assert {"bookworm", "trixie", "forky", "noble", "resolute"} <= set(SUITES)
    for _, _, check, *others in LINES:
        assert re.fullmatch(r"-|/\S+|(pkg-config:|python3:)?[\w.-]+", check)
        for other in others:
            assert other.partition("=")[0] in SUITES and other.partition("=")[2]


@pytest.mark.parametrize(
    ("suite", "runtime"),
    [
        ("bookworm", "libclang-rt-14-dev"),
        ("trixie", "libclang-rt-dev"),
        ("forky", "libclang-rt-dev"),
        ("noble", "libclang-rt-18-dev"),
    ],
)
def test_packages_have_the_names_of_the_suite(machine: Machine, suite: str, runtime: str) -> None:
    done = machine.install(release(suite), "up", "test")
    assert done.returncode == 0, done.stderr
    assert runtime in done.stdout
    assert {name for name in machine.installed() if name.startswith("libclang")} == {runtime}
    assert {"tmux", "libdpdk-dev", "sudo"} <= machine.installed()
    assert len(machine.installed()) == len(LINES)


def test_only_missing_packages_of_a_use_are_installed(machine: Machine) -> None:
    ups = [name for use, name, *_ in LINES if use == "up"]
    done = machine.install(release("trixie"), "up", INSTALLED=" ".join(set(ups) - {"passt", "curl"}))
    assert done.returncode == 0 and machine.installed() == {"passt", "curl"}
    machine.calls.write_text("")
    done = machine.install(release("trixie"), "up", INSTALLED=" ".join(ups))
    assert (done.returncode, done.stdout, machine.calls.read_text()) == (0, "", "")


def test_failure_of_apt_get_names_the_packages(machine: Machine) -> None:
    done = machine.install(release("bookworm"), "test", APT_STATUS="100")
    assert done.returncode == 3 and "apt-get could not install: git sudo dpdk-dev " in done.stderr


def test_unknown_distribution_prints_the_packages_to_install(machine: Machine) -> None:
    fedora = 'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n'
    machine.program("tmux", "")
    done = machine.install(fedora, "up")
    assert done.returncode == 3 and machine.calls.read_text() == ""
    assert "Fedora Linux 43" in done.stderr and "bookworm trixie" in done.stderr
    assert "qemu-system-x86 (checked: qemu-system-x86_64)" in done.stderr
    assert "libdpdk-dev (checked: pkg-config:libdpdk)" in done.stderr
    assert "  tmux " not in done.stderr  # it is there

    for _, _, check, *_ in LINES:
        if re.fullmatch(r"[\w.-]+", check):
            machine.program(check, "")
    machine.program("python3", "")
    done = machine.install(fedora, "up")
    left = {line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")}
    assert left <= {"debian-archive-keyring", "libc6-dev"}  # files of this machine
    assert done.returncode == (3 if left else 0)
