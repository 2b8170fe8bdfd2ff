"""The commands in README and docs/ work on a bare Debian 12: `make up` installs each, or the text names its package.

Compared with a system made by `mmdebstrap --variant=minbase bookworm`.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Command -> its package, for commands that a minimal system lacks.
PACKAGES = {
    "curl": "curl", "dpdk-devbind.py": "dpdk", "dpdk-telemetry.py": "dpdk-dev",
    "git": "git", "ip": "iproute2", "jq": "jq", "iperf3": "iperf3",
    "kill": "procps", "lz4": "lz4",
    "loginctl": "systemd", "make": "make", "nft": "nftables", "ping": "iputils-ping", "python3": "python3-venv",
    "qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86", "socat": "socat", "ssh": "openssh-client",
    "ethtool": "ethtool", "rsvg-convert": "librsvg2-bin",
    "ss": "iproute2", "sudo": "sudo", "tcpdump": "tcpdump", "tmux": "tmux",
}  # fmt: skip
#: Commands of a minimal system.
THERE = {"apt-get", "cat", "chmod", "chown", "echo", "env", "mkdir", "mount", "sh", "tee", "truncate"}
#: Names of programs that are not typed as commands: words of SPP's prompt, values, programs of parts and of .venv.
NO_COMMANDS = {
    "clear", "false", "file", "idle", "init", "install", "kvm", "link", "open", "patch", "perf", "prove", "pytest",
    "python", "python2", "reset", "rm", "service", "time", "top", "touch", "true", "uptime", "w",
}  # fmt: skip
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> set[str]:
    """Return the first words of code: in blocks, and between backquotes."""
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
    """Return the packages that `make up` installs."""
    listed = re.findall(r"^up (\S+)", (ROOT / "bin/packages").read_text(), re.MULTILINE)
    assert listed
    return set(listed)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_command_is_installed_or_its_package_is_named(document: Path) -> None:
    text = document.read_text()
    given = commands(text)
    assert given
    for command in sorted(given & set(PACKAGES)):
        package = PACKAGES[command]
        assert package in installed() or re.search(
            rf"(apt-get install|package|of)\b[^.\n]*\b{re.escape(package)}\b", text
        ), f"{document}: {command} is in {package}, which `make up` does not install and the text does not name"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_programs_in_documents_are_listed_here(document: Path) -> None:
    given = commands(document.read_text())
    programs = {word for word in given if "/" not in word and shutil.which(word)}
    assert programs - set(PACKAGES) - THERE - NO_COMMANDS == set()


def test_guide_and_chain_documents_use_ping_and_curl() -> None:
    texts = [(ROOT / name).read_text() for name in ("README.md", "docs/guide.md", "docs/chain.md", "docs/by-hand.md")]
    readme, guide, chain, by_hand = map(commands, texts)
    assert "sppr" in readme and {"ping", "curl"} <= guide and {"ping", "iperf3"} <= chain and {"ping", "ip"} <= by_hand


def test_generated_parts_are_current() -> None:
    """The keys of conf.yml, the commands, troubleshooting.md and the picture: see docs/generate.py."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def anchors(text: str) -> set[str]:
    """Return the anchors that a reader of Markdown makes of the headings: lower case, without punctuation."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Yield the links that lead to no file, or to no heading of it. Links to other sites are not followed."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path.read_text())):
            yield target


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_have_a_target(document: Path) -> None:
    assert list(broken_links(document)) == []


def test_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One two\n[x](b.md) [y](a.md#one-two) [z](#three) [w](https://example.org)\n")
    assert list(broken_links(tmp_path / "a.md")) == ["b.md", "#three"]


def test_cited_sections_of_spp_protocol_exist() -> None:
    headings = set(re.findall(r"^## (.*)$", (ROOT / "docs/spp-protocol.md").read_text(), re.MULTILINE))
    cited: dict[str, str] = {}
    for path in (*(ROOT / "sppr").rglob("*.*"), *(ROOT / "tests").rglob("*.py")):
        if path.suffix in (".py", ".c", ".h") and "build" not in path.parts:
            text = re.sub(r"\n[ */#:]*", " ", path.read_text())
            for names in re.findall(r"docs/spp-protocol\.md,\s+([^)]*?)\)", text):
                cited |= dict.fromkeys(re.split(r", | and |; ", names), str(path))
    assert headings and {name: path for name, path in cited.items() if name not in headings} == {}


def wrong_references(text: str, root: Path = ROOT) -> Iterator[str]:
    """Yield the files that architecture.md names and that do not exist, and the names that their file does not have."""
    for name in sorted(set(re.findall(r"`((?:\w+/)*\w+\.(?:py|c|h))`", text))):
        places = [root / "sppr" / name, root / name, root / "sppr/dataplane" / name]
        if not any(path.exists() for path in (*places, *(root / "sppr").rglob(Path(name).name))):
            yield name
    for names, file in re.findall(r"((?:`\w+`(?:, | and )?)+) (?:in|of) `([\w/]+\.(?:py|c|h))`", text):
        path = root / "sppr" / file
        source = path.read_text() if path.exists() else ""
        yield from (f"{file}: {one}" for one in re.findall(r"`(\w+)`", names) if not re.search(rf"\b{one}\b", source))


def test_architecture_names_files_and_functions_that_exist() -> None:
    assert list(wrong_references((ROOT / "docs/architecture.md").read_text())) == []


def test_wrong_reference_is_found() -> None:
    assert list(wrong_references("`cli/gone.py`, `main` and `no_such_name` in `cli/main.py`")) == [
        "cli/gone.py",
        "cli/main.py: no_such_name",
    ]
