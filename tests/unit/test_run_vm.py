"""Options of run-vm.py: the command line of QEMU, and combinations that are refused."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from sppr import units
from tests.conftest import ROOT
from tests.unit.images.test_store import image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runscripts").mkdir()
    image(tmp_path / "runscripts/base.qcow2")
    (tmp_path / "conf.yml").write_text(
        "vms_ring: [{id: 6}]\nvms_vhost: [{id: 11, cpus: [0]}, {id: 12}]\nvm: {accel: tcg}\n"
    )
    return tmp_path


def run_vm(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """With --dry-run, which touches nothing."""
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [ROOT / "runscripts/run-vm.py", "--conf", folder / "conf.yml", "--dry-run", *words],
        env={**os.environ, **env}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert sorted(folder.rglob("*")) == before
    return done


def argv(folder: Path, *words: str, **env: str) -> list[list[str]]:
    done = run_vm(folder, *words, **env)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def after(words: list[str], option: str) -> list[str]:
    return [words[n + 1] for n, word in enumerate(words) if word == option]


def has_chardev(words: list[str], begin: str) -> bool:
    """Return whether a -chardev begins with this text. Its end depends on QEMU: reconnect=1, or reconnect-ms=1000."""
    return any(word.startswith(begin) for word in after(words, "-chardev"))


def test_normal_vm_has_no_ports_and_needs_no_conf_yml_entry(folder: Path) -> None:
    ((*words,),) = argv(folder, "-t", "normal", "-i", "5", "-nn", "2", "-c", "3", "-m", "512")
    assert f"file={folder}/runscripts/img/n5-base.qcow2,format=qcow2,if=virtio,cache=writeback,discard=unmap" in words
    assert after(words, "-smp") == ["3"] and after(words, "-m") == ["512M"]
    nics = after(words, "-netdev")
    forwards = "hostfwd=tcp:127.0.0.1:22005-:22,guestfwd=tcp:10.0.2.100:6666-chardev:control"
    assert nics == [f"user,id=mgmt,ipv6=off,restrict=on,{forwards}", "user,id=mgmt1,ipv6=off,restrict=on"]
    assert "ivshmem" not in " ".join(words) and "vhost" not in " ".join(words)
    assert len(re.findall(r"mac=02:ad:be:b1:05:0[01]", " ".join(after(words, "-device")))) == 2
    ((*words,),) = argv(folder, "-t", "normal", "-i", "5", "-nn", "0")
    assert not after(words, "-netdev") and "opt/sppr/mgmt" not in " ".join(words)


def test_several_vms_have_one_device_each(folder: Path) -> None:
    one, two = argv(folder, "-t", "vhost", "-i", "11,12", "-d", "21,22,31,32", TMUX="/tmp/tmux-0/x,1,0")
    assert [re.findall(r"/spp/sock(\d+)", " ".join(words)) for words in (one, two)] == [["21", "22"], ["31", "32"]]
    assert re.findall(r"mac=([^,]+)", " ".join(one)) != re.findall(r"mac=([^,]+)", " ".join(two))


def test_qemu_creates_the_sockets_with_vc(folder: Path) -> None:
    ((*words,),) = argv(folder, "-t", "vhost", "-i", "11", "-vc", SPPR_RUN_DIR="/r")
    assert "socket,id=chr0,path=/r/spp/sock11,server=on,wait=off" in words
    ((*words,),) = argv(folder, "-t", "vhost", "-i", "11", SPPR_RUN_DIR="/r")
    assert has_chardev(words, "socket,id=chr0,path=/r/spp/sock11,reconnect")


def test_sockets_are_in_a_private_folder(folder: Path) -> None:
    """A process that listens there can access the guest's memory. A folder in conf.yml is used unchanged."""
    conf = folder / "conf.yml"
    text = conf.read_text()
    for more, place in (("", "/r/spp"), ("spp: {sock_dir: /s}\n", "/s")):
        conf.write_text(text + more)
        ((*words,),) = argv(folder, "-t", "vhost", "-i", "11", SPPR_RUN_DIR="/r")
        assert has_chardev(words, f"socket,id=chr0,path={place}/sock11,reconnect")


def test_another_image_has_templates_in_its_folder(folder: Path) -> None:
    other = image(folder / "other.qcow2")
    ((*words,),) = argv(folder, "-t", "ring", "-i", "6", "-f", "other.qcow2")
    assert after(words, "-drive")[0].startswith(f"file={folder}/img/r6-other.qcow2,format=qcow2,")
    ((*words,),) = argv(folder, "-t", "orig", "-f", "other.qcow2", "--graphic")
    assert after(words, "-drive")[0].startswith(f"file={other},format=qcow2,") and after(words, "-display") == ["gtk"]
    assert after(words, "-vga") == ["std"] and "guest=vm-o0" in words
    raw = image(folder / "disk.img", "raw")
    ((*words,),) = argv(folder, "-t", "orig", "-f", "disk.img")
    assert after(words, "-drive")[0].startswith(f"file={raw},format=raw,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-t ring", "the id of the VM is missing: -i ID"),
        ("-t orig", "-t orig needs an image: -f FILE"),
        ("-t orig -f other.qcow2 -i 3", "leave -i out"),
        ("-t ring -i 6 -vc", "-vc is for vhost VMs"),
        ("-t normal -i 128", "128: ids go from 1 to 127"),
        ("-t ring -i 6 -f gone.qcow2", "gone.qcow2: no such image"),
        ("-t vhost -i 13", "vms_vhost: no VM 13"),
        ("-t ring -i 6-4", "counts down"),
    ],
)
def test_invalid_options_are_refused(folder: Path, words: str, message: str) -> None:
    done = run_vm(folder, *words.split(), TMUX="")
    assert done.returncode in (2, 3) and message in done.stderr, done.stderr


def test_ports_that_cannot_be_divided_among_vms_are_refused(folder: Path) -> None:
    done = run_vm(folder, "-t", "vhost", "-i", "11,12", "-d", "1,2,3", TMUX="/x/y,1,0")
    assert done.returncode == 2 and "3 numbers cannot be shared among 2 VMs" in done.stderr


def test_macs_are_valid_and_unique_for_every_id() -> None:
    macs = [units.mac_of(kind, vm_id, nic) for kind in range(0xB0, 0xB5) for vm_id in range(128) for nic in range(9)]
    assert len(set(macs)) == len(macs) and all(re.fullmatch(r"02(:[0-9a-f]{2}){5}", mac) for mac in macs)


def test_several_vms_need_tmux_except_in_a_dry_run(tmp_path: Path) -> None:
    env = {**os.environ, "TMUX": "", "SPPR_RUN_DIR": str(tmp_path)}
    call = [ROOT / "runscripts/run-vm.py", "-t", "vhost", "-i", "11,12"]
    done = subprocess.run(call, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "several VMs need several terminals" in done.stderr
    done = subprocess.run([*call, "--dry-run"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "sock11" in done.stdout and "sock12" in done.stdout, done.stderr
