"""README and docs tell a user of a bare Debian 12 what to type: `make up` installs it, or the text names the package.

Compared with a system made by `mmdebstrap --variant=minbase bookworm`.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Command -> its package, for all that a minimal system does not have.
PACKAGES = {
    "curl": "curl", "dpdk-devbind.py": "dpdk", "dpdk-telemetry.py": "dpdk-dev",
    "git": "git", "ip": "iproute2", "jq": "jq", "iperf3": "iperf3",
    "kill": "procps", "loginctl": "systemd", "make": "make", "ping": "iputils-ping", "python3": "python3-venv",
    "qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86", "socat": "socat", "ssh": "openssh-client",
    "sudo": "sudo", "tcpdump": "tcpdump", "tmux": "tmux",
}  # fmt: skip
#: In a minimal system already.
THERE = {"apt-get", "chmod", "chown", "echo", "env", "mount", "sh", "tee", "truncate"}
#: Also names of programs, but nobody is told to type them: SPP's prompt, values, what a part runs, what .venv has.
NO_COMMANDS = {
    "clear", "false", "idle", "install", "kvm", "link", "patch", "perf", "pytest", "python", "python2", "reset",
    "service",
}  # fmt: skip
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> set[str]:
    """First words of all that stands in code: blocks, and between backquotes."""
    fence = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
    lines = [line for block in fence.findall(text) for line in block.splitlines()]
    lines += re.findall(r"^    (.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", fence.sub("", text))
    pieces = [piece.strip().lstrip("$# ").split() for line in lines for piece in re.split(r"[;|&]+|\$\(", line)]
    for prefix, length in ((("sudo",), 1), (("ip", "netns", "exec"), 4)):
        pieces += [piece[length:] for piece in pieces if tuple(piece[: len(prefix)]) == prefix]
    shells = [piece for piece in pieces if piece[:3] == ["sppr", "chain", "shell"] and "--" in piece]
    pieces += [piece[piece.index("--") + 1 :] for piece in shells]
    return {piece[0] for piece in pieces if piece}


def installed() -> set[str]:
    """What `make up` installs."""
    listed = re.findall(r"^up (\S+)", (ROOT / "bin/packages").read_text(), re.MULTILINE)
    assert listed
    return set(listed)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_command_is_installed_or_its_package_is_named(document: Path) -> None:
    text = document.read_text()
    given = commands(text)
    assert given
    for command in sorted(given & set(PACKAGES)):
        package = PACKAGES[command]
        assert package in installed() or re.search(
            rf"(apt-get install|package|of)\b[^.\n]*\b{re.escape(package)}\b", text
        ), f"{document}: {command} is in {package}, which `make up` does not install and the text does not name"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_program_of_a_document_is_known_here(document: Path) -> None:
    given = commands(document.read_text())
    programs = {word for word in given if "/" not in word and shutil.which(word)}
    assert programs - set(PACKAGES) - THERE - NO_COMMANDS == set()


def test_the_first_packets_and_the_chain_need_ping_and_rest_needs_curl() -> None:
    texts = [(ROOT / name).read_text() for name in ("README.md", "docs/chain.md", "docs/by-hand.md")]
    readme, chain, by_hand = map(commands, texts)
    assert {"ping", "curl"} <= readme and {"ping", "iperf3"} <= chain and {"ping", "ip"} <= by_hand
