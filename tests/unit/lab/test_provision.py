"""What goes into a template, and the machine that puts it there."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from sppr.lab import provision
from sppr.lab.provision import Provisioner, bundle


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "spp_vm"
    path.write_bytes(b"\x7fELF and so on")
    return path


def test_the_bundle_has_all_files_and_their_sums(tmp_path: Path, program: Path) -> None:
    bundle(tmp_path / "files.tar", program)
    with tarfile.open(tmp_path / "files.tar") as tar:
        content = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        modes = {entry.name: entry.mode for entry in tar}
    assert set(content) == {"install", "spp_vm-start", "spp_vm.service", "spp_vm", "SHA256SUMS"}
    for line in content["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(content[name]).hexdigest() == digest
    assert modes["spp_vm"] == modes["install"] == 0o755 and modes["spp_vm.service"] == 0o644
    assert (tmp_path / "files.tar").stat().st_size % 512 == 0  # a disk has whole sectors


def test_the_digest_is_the_programs_and_none_without_one(tmp_path: Path, program: Path) -> None:
    assert Provisioner(program=program).digest() == hashlib.sha256(program.read_bytes()).hexdigest()
    assert Provisioner(program=tmp_path / "none").digest() is None


def test_the_machine_has_no_network_and_only_reads_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "find_program", lambda program: program)
    words = Provisioner().argv(Path("/i/or.tmp"), Path("/w/files.tar"))
    drives = [words[n + 1] for n, word in enumerate(words) if word == "-drive"]
    assert "file=/i/or.tmp" in drives[0] and drives[1] == "file=/w/files.tar,format=raw,if=virtio,readonly=on"
    assert "-netdev" not in words and "-no-reboot" in words
