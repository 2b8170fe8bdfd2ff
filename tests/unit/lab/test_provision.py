"""The contents of a template, and the VM that installs them."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from sppr.config.model import Step
from sppr.errors import HostError
from sppr.lab.up import provision
from sppr.lab.up.provision import Provisioner, command, describe


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "spp_vm"
    path.write_bytes(b"\x7fELF and so on")
    return path


def test_bundle_has_all_files_and_checksums(tmp_path: Path, program: Path) -> None:
    Provisioner(program=program).bundle(tmp_path / "files.tar")
    with tarfile.open(tmp_path / "files.tar") as tar:
        content = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        modes = {entry.name: entry.mode for entry in tar}
    assert set(content) == {
        "install", "spp_vm-start", "spp_vm.service", "sppr-identity.service", "identity", "spp_vm", "SHA256SUMS",
    }  # fmt: skip
    for line in content["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(content[name]).hexdigest() == digest
    assert modes["spp_vm"] == modes["install"] == 0o755 and modes["spp_vm.service"] == 0o644
    assert (tmp_path / "files.tar").stat().st_size % 512 == 0  # a disk has whole sectors


def test_digest_is_that_of_the_program_or_none(tmp_path: Path, program: Path) -> None:
    assert Provisioner(program=program).digest() == hashlib.sha256(program.read_bytes()).hexdigest()
    assert Provisioner(program=tmp_path / "none").digest() is None


def test_provisioning_vm_has_no_network_and_reads_the_files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "find_program", lambda program: program)
    words = Provisioner().argv(Path("/i/or.tmp"), Path("/w/files.tar"), Path("/w/seed.img"))
    drives = [words[n + 1] for n, word in enumerate(words) if word == "-drive"]
    assert "file=/i/or.tmp" in drives[0] and drives[1] == "file=/w/files.tar,format=raw,if=virtio,readonly=on"
    assert "-netdev" not in words and "-no-reboot" in words
    assert "-sandbox" in words, "QEMU is confined without being asked for it"
    steps = (Step(run="true"),)
    words = Provisioner(steps=steps).argv(Path("/i/or.tmp"), Path("/w/files.tar"), Path("/w/seed.img"), 7)
    assert "stream,id=outside,server=off,addr.type=fd,addr.str=7" in words  # steps may fetch something


def test_steps_are_bundled_with_their_files(tmp_path: Path, program: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "run me").write_text("#!/bin/sh\n")
    (tools / "run me").chmod(0o755)
    steps = (Step(run="apt-get update\napt-get install -y iperf3"), Step(file="tools", to="/opt/my tools"))
    filler = Provisioner(program=program, steps=steps, folder=tmp_path)
    filler.bundle(tmp_path / "files.tar")
    with tarfile.open(tmp_path / "files.tar") as tar:
        script = tar.extractfile("step/0").read()  # type: ignore[union-attr]
        assert script == b"apt-get update\napt-get install -y iperf3\n"
        entry = tar.getmember("step/1/run me")
        assert entry.mode & 0o111 and entry.uid == 0 and entry.uname == "root"
    assert [describe(step) for step in steps] == ["apt-get update …", "copy tools to /opt/my tools"]
    assert command(0, steps[0]) == "cd /root && sh -e /run/nf/step/0"
    assert command(1, steps[1]) == """mkdir -p "$(dirname '/opt/my tools')" && cp -rpT /run/nf/step/1 '/opt/my tools'"""


def test_digest_depends_on_steps_and_copied_files(tmp_path: Path, program: Path) -> None:
    (tmp_path / "a").write_text("one")
    filler = Provisioner(program=program, steps=(Step(file="a", to="/a"),), folder=tmp_path)
    line = Provisioner(program=program, steps=(Step(run="x"),))
    seen = {filler.digest(), Provisioner(program=program).digest(), line.digest()}
    (tmp_path / "a").write_text("two")
    assert len({*seen, filler.digest()}) == 4
    (tmp_path / "a").unlink()
    with pytest.raises(HostError, match=r"provision: .*/a: no such file"):
        filler.digest()
    with pytest.raises(HostError, match="is not built"):
        Provisioner(program=tmp_path / "none", steps=(Step(run="x"),)).digest()
