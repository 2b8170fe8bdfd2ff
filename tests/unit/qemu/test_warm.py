"""Saved states: what they depend on, which are valid, what is copied, and the machine that resumes."""

import fcntl
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sppr.cli.part import vm as run_vm
from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.lab.up import warm
from sppr.parts.vm import Machine
from sppr.qemu import devices
from sppr.qemu.pluggable import Netdev
from sppr.qemu.warm import machine, resume, save, states
from sppr.qemu.warm.machine import Handover
from sppr.qemu.warm.states import Guest, State


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    """A guest whose QEMU is a file, and a folder for its state."""
    monkeypatch.setattr(states, "cache_dir", lambda: tmp_path / "cache")
    program = tmp_path / "qemu"
    program.write_bytes(b"1")
    return Guest(str(program), 256, 1, "tcg", "b00t")


def saved(guest: Guest, folder: Path | None = None) -> State:
    """Return a complete state of a guest."""
    state = State(folder or guest.folder)
    state.folder.mkdir(parents=True)
    state.memory.write_bytes(b"memory")
    state.devices.write_bytes(b"devices")
    states.write_note(state, guest)
    return state


@pytest.mark.parametrize(
    "other",
    [{"memory": 512}, {"cores": 2}, {"accel": "kvm"}, {"boot": "other"}, {"program": "/bin/true"}],
    ids=lambda other: next(iter(other)),
)
def test_another_machine_has_another_state(guest: Guest, other: dict[str, object]) -> None:
    saved(guest)
    assert states.find(guest) is not None and states.find(replace(guest, **other)) is None  # type: ignore[arg-type]


def test_state_of_a_replaced_qemu_is_not_found_and_is_removed(guest: Guest) -> None:
    state = saved(guest)
    Path(guest.program).write_bytes(b"22")
    assert states.find(guest) is None
    states.remove_outdated(guest)
    assert not state.folder.exists()


def test_states_of_an_earlier_kernel_of_the_base_image_are_removed(guest: Guest) -> None:
    earlier, other = saved(replace(guest, boot="earlier")), saved(replace(guest, boot="0ther", base=Path("/other")))
    more = saved(replace(guest, memory=512))
    states.remove_outdated(guest)
    assert not earlier.folder.exists() and other.folder.exists() and more.folder.exists()


@pytest.mark.parametrize("name", ["memory", "devices", "note"])
def test_incomplete_or_changed_state_is_not_found(guest: Guest, name: str) -> None:
    state = saved(guest)
    path: Path = getattr(state, name)
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert states.find(guest) is None
    path.unlink()
    assert states.find(guest) is None


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', '{"files": null, "qemu": 5}'])
def test_damaged_note_is_no_state(guest: Guest, text: str) -> None:
    state = saved(guest)
    state.note.write_text(text)
    assert states.find(guest) is None
    states.remove_outdated(guest)
    assert not state.folder.exists()


def test_only_unused_states_and_leftovers_of_killed_processes_are_removed(guest: Guest) -> None:
    used, unused = saved(guest), saved(replace(guest, memory=512))
    old = unused.note.stat().st_mtime - 31 * 86400
    os.utime(unused.note, (old, old))
    own, dead = states.temporary(guest), guest.folder.with_name(f"{guest.folder.name}.4194304.tmp")
    own.mkdir()
    dead.mkdir()
    states.remove_outdated(guest)
    assert used.folder.exists() and own.exists() and not unused.folder.exists() and not dead.exists()
    assert states.clear() == [used.folder] and own.exists()


def test_use_of_a_state_keeps_it_for_another_month(guest: Guest) -> None:
    state = saved(guest)
    os.utime(state.note, (1000, 1000))
    assert states.find(guest) == state and state.note.stat().st_mtime > 1e9
    states.remove_outdated(guest)
    assert state.folder.exists()


def test_under_kvm_a_state_depends_on_the_cpu_and_the_kernel(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_cpu", lambda accel: [accel == "kvm" and "one"])
    kvm = replace(guest, accel="kvm")
    one = kvm.key, guest.key
    monkeypatch.setattr(states, "_cpu", lambda accel: [accel == "kvm" and "two"])
    assert kvm.key != one[0] and guest.key == one[1]
    monkeypatch.undo()
    assert states._cpu("tcg") == [] and os.uname().release in states._cpu("kvm")


def test_zeros_are_left_out_of_the_memory_and_its_copy(tmp_path: Path) -> None:
    full, sparse = tmp_path / "full", tmp_path / "sparse"
    content = bytes(1 << 20) + b"kernel" + bytes(3 << 20) + b"end"
    full.write_bytes(content)
    save._copy_sparse(full, sparse)
    assert sparse.read_bytes() == content and sparse.stat().st_blocks * 512 <= 256 << 10
    copy = resume._copy(sparse)
    try:
        assert os.fstat(copy).st_blocks * 512 <= 256 << 10
        assert os.pread(copy, len(content) + 1, 0) == content
        os.pwrite(copy, b"guest", 0)
    finally:
        os.close(copy)
    assert sparse.read_bytes() == content, "a guest writes to its copy only"


def test_qemu_inherits_its_ends_only(guest: Guest, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch()
    made = resume.prepare(saved(guest), disk, shared=True)
    given = (made.handover.memory, made.handover.resume, made.handover.control, *made.handover.disk)
    modes = [fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE for fd in made.handover.disk]
    assert modes == [os.O_RDONLY, os.O_RDWR], "QEMU takes the one with the mode that it needs"
    assert all(os.get_inheritable(fd) for fd in given)
    assert not any(sock.get_inheritable() for sock in made.own)
    assert os.pread(made.handover.memory, 100, 0) == b"memory"
    for sock in (*made.own, *made.theirs):
        sock.close()
    for fd in (made.handover.memory, *made.handover.disk):
        os.close(fd)


def test_guest_whose_memory_nobody_shares_uses_the_pages_of_the_file(guest: Guest, tmp_path: Path) -> None:
    disk, state = tmp_path / "disk", saved(guest)
    disk.touch()
    made = resume.prepare(state, disk, shared=False)
    assert os.path.samestat(os.fstat(made.handover.memory), state.memory.stat())
    for sock in (*made.own, *made.theirs):
        sock.close()
    for fd in (made.handover.memory, *made.handover.disk):
        os.close(fd)
    handover = Handover(5, 6, 7, (8, 9))
    memory = "memory-backend-file,id=mem,size=256M,mem-path=/proc/self/fd/5,share="
    assert f"{memory}on" in vm().resume_argv(handover, Path("/t")), "a vhost-user port reads and writes it"
    assert f"{memory}off" in vm(kind="ring", sockets=()).resume_argv(handover, Path("/t"))


def test_state_that_another_process_saved_meanwhile_is_kept(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def saves(state: State, *_: object) -> None:
        for path in (state.memory, state.devices):
            path.write_bytes(b"ours")
        if not guest.folder.exists():
            saved(guest)

    monkeypatch.setattr(save, "_save", saves)
    state = save.save(guest, Path("/image"), "qcow2", devices.UNCONFINED, Deadline(1))
    assert states.find(guest) == state and state.memory.read_bytes() != b"ours"
    assert [path.name for path in state.folder.parent.iterdir()] == [state.folder.name]
    monkeypatch.setattr(states, "find", lambda _: None)
    monkeypatch.setattr(states, "remove", lambda _: None)
    assert save.save(guest, Path("/image"), "qcow2", devices.UNCONFINED, Deadline(1)) == state, "not an error"


def test_vm_whose_state_is_removed_meanwhile_boots(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = saved(guest)
    monkeypatch.setattr(warm, "find", lambda *_: state)
    machine_ = SimpleNamespace(disk=tmp_path / "disk", shares_memory=True)
    paths = SimpleNamespace(run=tmp_path, store=None)
    assert run_vm._resumed(SimpleNamespace(name="vm_r6", start="auto"), machine_, paths, "ring") is None
    assert capsys.readouterr().out == f"boots, because {machine_.disk}: No such file or directory\n"
    copies = [
        int(link.name) for link in Path("/proc/self/fd").iterdir() if link.resolve().name.startswith("memfd:guest")
    ]
    assert not any(map(os.get_inheritable, copies)), "QEMU would inherit a copy of the memory"
    states.remove(state)
    assert run_vm._resumed(SimpleNamespace(name="vm_r6", start="auto"), machine_, paths, "ring") is None
    assert capsys.readouterr().out == f"boots, because {state.memory}: No such file or directory\n"
    with pytest.raises(SpprError, match=r"vm_r6: start: warm, but .*: No such file"):
        run_vm._resumed(SimpleNamespace(name="vm_r6", start="warm"), machine_, paths, "ring")


def test_no_two_guests_get_the_same_random_numbers() -> None:
    first, second = resume.line(1.5), resume.line(1.5)
    assert re.fullmatch(rb"1\.500000 [0-9a-f]{128}\n", first) and first != second


def vm(**words: object) -> Machine:
    given: dict[str, object] = {
        "kind": "vhost", "id": 11, "disk": Path("/i"), "memory": 256, "cores": 1, "accel": "tcg", "qmp": Path("/q"),
        "console": Path("/c"), "ssh_port": 22011, "sockets": (Path("/s"),), "controller": (Path("/g"), 6666), **words,
    }  # fmt: skip
    return Machine(**given)  # type: ignore[arg-type]


def of_state(words: Sequence[str]) -> list[str]:
    """Return the devices and the machine in a command line, of which the state consists."""
    kept = ("-device", "-serial", "-machine", "-cpu", "-smp", "-m", "-accel", "-vga")
    pairs = itertools.pairwise(words)
    return [f"{option} {value}" for option, value in pairs if option in kept]


def test_resumed_machine_has_the_devices_of_the_saved_one_only() -> None:
    own = machine.argv(devices.Machine("x", 256, 1, "tcg"), ["-drive", "x"], devices.Terminal(), 3, 4)
    resumed = vm().resume_argv(Handover(5, 6, 7, (8, 9)), Path("/t"))
    console = [word for word in of_state(resumed) if "serial" in word]
    assert len(console) == len([word for word in of_state(own) if "serial" in word]) == 2
    assert [w for w in of_state(resumed) if "serial" not in w] == [w for w in of_state(own) if "serial" not in w]
    assert "-netdev" not in resumed, "QEMU warns of a netdev without a NIC"
    assert {"fd=8,set=1,opaque=/i", "fd=9,set=1,opaque=tcp:127.0.0.1:22011-:22"} <= {*resumed}, "a guest is found by it"
    assert "backing.file.filename=/t," in resumed[resumed.index("-drive") + 1] + ","
    assert resumed[-2:] == ["-incoming", "defer"]


def test_everything_else_is_plugged_in_the_order_of_a_boot() -> None:
    commands = [plug.command() for plug in vm(outside_fd=9).plugs()]
    assert [(name, given["id"]) for name, given in commands] == [
        ("netdev_add", "mgmt"), ("device_add", "nic-mgmt"), ("netdev_add", "outside"),
        ("device_add", "nic-outside"), ("netdev_add", "net0"), ("device_add", "nic-net0"),
    ]  # fmt: skip
    given = {arguments["id"]: arguments for _, arguments in commands}
    assert given["mgmt"]["hostfwd"] == [{"str": "tcp:127.0.0.1:22011-:22"}] and given["mgmt"]["restrict"] is True
    assert given["outside"]["addr"] == {"type": "fd", "str": "9"}
    boots = vm(outside_fd=9).argv()
    ids = [re.search(r"\bid=([\w-]+)", word)[1] for option, word in itertools.pairwise(boots) if option == "-device"]  # type: ignore[index]
    assert ids == ["rng0", "nic-mgmt", "nic-outside", "nic-net0"]


def test_tap_of_a_bridge_is_plugged_by_its_inherited_number() -> None:
    machine_ = vm(bridge_fd=8, bridge_mac="02:00:00:00:00:01", ssh_port=0)
    netdev = next(plug for plug in machine_.plugs() if plug.id == "bridge")
    assert isinstance(netdev, Netdev) and netdev.fd == 8
    assert netdev.command() == ("netdev_add", {"type": "tap", "id": "bridge", "fd": "8"})
    assert netdev.argv() == ["-netdev", "tap,id=bridge,fd=8"]


def test_obstacles_are_named() -> None:
    assert vm().obstacle() == "" and "vm.args" in vm(extra=("-S",)).obstacle() and vm(graphic=True).obstacle()
