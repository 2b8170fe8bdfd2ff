"""SPP releases: detection from the files of a tree, and the command lines of each release."""

import argparse
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.classic.client import Client, RequestError
from sppr.classic.service import Service
from sppr.config import load
from sppr.config.model import Chain, Config
from sppr.deadline import Deadline
from sppr.errors import ConfigError, HostError, NotReady
from sppr.host.facts import Facts
from sppr.lab.paths import gather_paths
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from sppr.spp import ivshmem, releases, tree
from sppr.spp.releases import VERSIONS, Version
from tests.fakes import classic_nfv, link, nfv
from tests.fakes import tree as fake_tree

#: Releases with the same files. Nothing here differs between them.
SAME = {"17.02": "17.05", "HEAD": "19.11"}
LAB = """\
primary: {coremask: 0x1, portmask: 0x3}
secondaries: [%s]
vms_vhost: [{id: 11}]
spp: {dir: %s, python: %s%s}
"""


def conf(root: Path, secondaries: str = "{id: 1, coremask: 0x6}", more: str = "") -> Config:
    return load.parse((LAB % (secondaries, root, sys.executable, more)).encode(), "conf.yml")


def plan(config: Config, folder: Path, **flags: object) -> Plan:
    where = gather_paths(config, folder / "conf.yml", None)
    return make(config, Flags(**{"nof_ring": None, "nof_vhost": 0, **flags}), Facts(cpus=(0, 1)), where)  # type: ignore[arg-type]


def test_fakes_and_launcher_support_the_same_releases() -> None:
    assert VERSIONS == link.VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_reply_has_no_bytes_of_an_earlier_command(version: str) -> None:
    """SPP's C clears its buffer before each receive; spp.py reads ``int(data.strip('\\0'))``."""
    classic = VERSIONS.index(version) < VERSIONS.index("18.08.1")
    options = argparse.Namespace(id=1, version=version, nics=2, lie=False)
    fake = (classic_nfv.ClassicNfv if classic else nfv.Nfv)(options)
    size = 1000 if classic else 2048 if VERSIONS.index(version) < VERSIONS.index("19.11") else 32768
    for command in (b"add ring:3", b"_set_client_id 1", b"status"):
        assert len(fake.reply(command) or b"") == size
    answer = fake.reply(b"_get_client_id") or b""
    text = b"1" if VERSIONS.index(version) < VERSIONS.index("18.08.2") else answer.rstrip(b"\0")
    assert answer == text.ljust(size, b"\0") and b"\0" not in text
    assert fake.reply(b"no such word") == b"no\0such\0word".ljust(size, b"\0")


@pytest.mark.parametrize("version", VERSIONS)
def test_release_is_detected_from_the_files_of_a_tree(tmp_path: Path, version: str) -> None:
    root = fake_tree.make(tmp_path, version)
    assert releases.detect(root) == SAME.get(version, version)
    for kind in Version(version).kinds:
        found = tree.binary(kind, root, fake_tree.TARGET)
        assert found.is_file() and (f"/src/{kind}/src/{kind}/" in str(found)) == (version in ("16.07", "17.02"))
    releases.check(root, Version(version))


@pytest.mark.parametrize("form", ["{k}/{t}/app", "{k}/{t}", "{k}/src/{k}/{t}/app", "{k}/src/{k}/{t}"])
def test_programs_are_found_for_every_form_of_path(tmp_path: Path, form: str) -> None:
    place = tmp_path / "src" / form.format(k="vf", t="T") / "spp_vf"
    place.parent.mkdir(parents=True)
    place.touch()
    assert tree.binary("vf", tmp_path, "T") == place


def test_missing_program_is_reported_with_all_tried_paths(tmp_path: Path) -> None:
    with pytest.raises(HostError) as e:
        releases.check(tmp_path, Version("HEAD"))
    assert f"tried: {tmp_path}/src/spp-ctl/spp-ctl" in e.value.what and f"tried: {tmp_path}/src/spp.py" in e.value.what
    fake_tree.make(tmp_path, "17.08", missing=("nfv",))
    with pytest.raises(HostError, match=r"no controller of SPP 19\.11") as e:
        releases.check(tmp_path, Version("19.11"))
    assert e.value.hint == "this tree is SPP 17.08: set spp.version"
    with pytest.raises(HostError) as e:
        gather_paths(conf(tmp_path), tmp_path / "conf.yml", None).check_binaries(["primary", "nfv"])
    assert e.value.what.count("tried: ") == 4
    with pytest.raises(HostError, match="needs nopython9, which is not installed"):
        where = replace(gather_paths(conf(tmp_path), tmp_path / "conf.yml", None), python="nopython9")
        where.check_controllers(["spp.py"])
    assert gather_paths(conf(tmp_path / "none"), tmp_path / "conf.yml", None).version == Version("HEAD")


@pytest.mark.parametrize("version", VERSIONS)
def test_controllers_of_a_release(tmp_path: Path, version: str) -> None:
    root = fake_tree.make(tmp_path / "spp", version)
    made = plan(conf(root, more=f", version: {version}"), tmp_path)
    first = made.part("ctrler")
    v = Version(version)
    assert made.windows[0].panes == (("ctrler", "cli") if v.era == "spp-ctl" else ("ctrler",))
    if v.era == "spp-ctl":
        assert first.program == (
            sys.executable, f"{root}/src/spp-ctl/spp-ctl", "-b", "127.0.0.1", "-p", "5555", "-s", "6666", "-a", "7777",
        )  # fmt: skip
        words = ("-b", "127.0.0.1", "-a", "7777") if version == "18.08.1" else ("-b", "127.0.0.1:7777")
        assert made.part("cli").program == (sys.executable, f"{root}/src/spp.py", *words)
        assert made.api == "127.0.0.1:7777" and made.part("cli").depends_on == ("ctrler",)
        return
    words = first.program[first.program.index("--") + 1 :]
    manage = ("-m", "7777", "-ip", "127.0.0.1") if VERSIONS.index(version) >= VERSIONS.index("17.08") else ()
    assert words == (sys.executable, f"{root}/src/spp.py", "-p", "5555", "-s", "6666", *manage)
    assert ("--manage" in first.program) == bool(manage) and str(made.api).endswith("/spp/api.sock")


@pytest.mark.parametrize("version", VERSIONS)
def test_primary_command_line_of_a_release(tmp_path: Path, version: str) -> None:
    made = plan(conf(fake_tree.make(tmp_path / "spp", version)), tmp_path)
    words = made.part("pri").program
    assert ("--base-virtaddr" in words) == (VERSIONS.index(version) < VERSIONS.index("19.08"))
    assert words[words.index("--file-prefix") + 1] == "spp" in made.part("sec1").program
    assert [w for w in words if "null" in w] == [f"{'eth' if version == '16.07' else 'net'}_null{n}" for n in (0, 1)]
    assert "--base-virtaddr" not in made.part("sec1").program


def test_secondary_command_lines_of_all_kinds(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "19.11")
    listed = (
        "{id: 1, coremask: 0x6, vhost_client: true}, {id: 2, type: vf, coremask: 0x18},"
        " {id: 3, type: mirror, coremask: 0x60},"
        " {id: 4, type: pcap, coremask: 0x380, port: ring:1, out_dir: /var/cap}"
    )
    made = plan(conf(root, listed), tmp_path, nof_sec=4, nof_vhost=1)
    tails = {p.name: p.program[p.program.index("--") + 1 :] for p in made.parts if p.role == "secondary"}
    s = ("-s", "127.0.0.1:6666")
    assert tails == {
        "sec1": ("-n", "1", *s, "--vhost-client"),
        "sec2": ("--client-id", "2", *s),
        "sec3": ("--client-id", "3", *s),
        "sec4": ("--client-id", "4", *s, "-c", "ring:1", "--out-dir", "/var/cap"),
    }
    assert [made.part(f"sec{n}").program[0].rpartition("/")[2] for n in (2, 3, 4)] == [
        "spp_vf",
        "spp_mirror",
        "spp_pcap",
    ]
    vm = made.part("vm_v11")
    assert vm.server == "nfv:1" and vm.makes_sockets
    assert "socket,id=chr0,path=/tmp/sock11,server=on,wait=off" in vm.program


def test_vf_of_17_11_has_a_separate_controller(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "17.11")
    made = plan(conf(root, "{id: 1, coremask: 0x6}, {id: 2, type: vf, coremask: 0x18}"), tmp_path)
    assert made.windows[0].panes == ("ctrler", "vfctrl") and made.tcp_ports == (5555, 6666, 7777, 5556, 6667)
    controller, vf = made.part("vfctrl"), made.part("sec2")
    assert controller.program[-4:] == ("-p", "5556", "-s", "6667") and "--manage" not in controller.program
    assert "127.0.0.1:6667" in vf.program and vf.control == controller.control and vf.depends_on == ("pri", "vfctrl")
    assert "127.0.0.1:6666" in made.part("sec1").program and made.part("sec1").control == ""


@pytest.mark.parametrize(
    ("version", "secondaries", "flags", "text"),
    [
        ("17.08", "{id: 2, type: vf, coremask: 0x18}", {}, "secondary 2: this release has no spp_vf, only nfv"),
        ("18.05", "{id: 17, coremask: 0x18}", {}, "secondary 17: spp.py accepts ids up to 16"),
        ("18.05", "{id: 1, coremask: 0x18, vhost_client: yes}", {}, "vhost_client requires 18.08.2 or later"),
        ("19.11", "{id: 1, coremask: 0x18}", {"nof_ring": 1}, "ring VMs need DPDK's ivshmem"),
        ("18.08.4", "{id: 2, type: vf, coremask: 0x18}", {"nof_vhost": 1}, "vhost VMs need an nfv"),
        ("16.07", "{id: 1, coremask: 0x18}", {"vdev_tap": (0, 1)}, "the DPDK of this release has no TAP driver"),
    ],
)
def test_feature_that_a_release_lacks_is_refused(
    tmp_path: Path, version: str, secondaries: str, flags: dict[str, object], text: str
) -> None:
    root = fake_tree.make(tmp_path / "spp", version)
    config = conf(root, secondaries)
    ring = load.parse(b"vms_ring: [{id: 6}]", "c").vms_ring
    with pytest.raises(ConfigError, match=f"SPP {version}: .*{text}"):
        plan(config.model_copy(update={"vms_ring": ring}), tmp_path, nof_sec=1, **flags)


def test_chain_port_that_a_release_lacks_is_refused(tmp_path: Path) -> None:
    config = conf(fake_tree.make(tmp_path / "spp", "19.08"), "{id: 1, coremask: 0x18}")
    config = config.model_copy(update={"chains": {"c": Chain(path=("memif:3", "phy:0"))}})
    with pytest.raises(ConfigError, match=r"SPP 19\.08: chain c: memif:3 requires 19\.11 or later"):
        plan(config, tmp_path, nof_sec=1)


RING = "-device ivshmem,size=32M,shm=fd:/dev/hugepages/rtemap_0:0x0:0x400000:/dev/zero:0x0:0x5fc000:/m:0x0:0x4000"


def test_ring_vm_of_16_07_runs_in_the_patched_qemu(tmp_path: Path) -> None:
    config = conf(fake_tree.make(tmp_path / "spp", "16.07"), more=", qemu: /opt/qemu-2.3.0")
    ring = load.parse(b"vms_ring: [{id: 6}]", "c").vms_ring
    config = config.model_copy(update={"vms_ring": ring})
    part = plan(config, tmp_path, nof_ring=1).part("vm_r6")
    assert (part.kind, part.ports, part.regions, part.depends_on) == ("ivshmem", (), (), ("pri",))
    assert part.program[:5] == ("/opt/qemu-2.3.0", "-name", "vm-r6", "-m", "256")
    assert part.program[part.program.index("-serial") + 1] == "mon:stdio" and "-fw_cfg" not in part.program
    with pytest.raises(ConfigError, match=r"SPP 16\.07: ring VMs need the patched QEMU"):
        plan(config.model_copy(update={"spp": config.spp.model_copy(update={"qemu": None})}), tmp_path, nof_ring=1)


def test_qemu_arguments_are_awaited_and_must_be_of_this_primary(tmp_path: Path) -> None:
    line, began = tmp_path / "line", time.time()
    with pytest.raises(NotReady, match="line: is missing"):
        ivshmem.wait_line(began, Deadline(0), line)
    line.write_text(RING + "\n")
    os.utime(line, (began - 5, began - 5))
    with pytest.raises(NotReady, match="belongs to an earlier primary") as e:
        ivshmem.wait_line(began, Deadline(0), line)
    assert e.value.hint and "x86_64-ivshmem-linuxapp-gcc" in e.value.hint
    os.utime(line, (began + 1, began + 1))
    assert ivshmem.wait_line(began, Deadline(0), line) == RING.split()
    line.rename(tmp_path / "elsewhere")
    line.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotReady):
        ivshmem.wait_line(began, Deadline(0), line)
    line.unlink()
    os.mkfifo(line)
    with pytest.raises(NotReady):
        ivshmem.wait_line(began, Deadline(0), line)


def test_qemu_arguments_of_another_user_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QEMU of root maps the files in these arguments into a guest."""
    line = tmp_path / "line"
    line.write_text(RING)
    assert ivshmem.wait_line(0, Deadline(0), line) == RING.split()
    if os.geteuid() == 0:
        os.chown(line, 65534, 65534)
    else:
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(NotReady, match="or another user"):
        ivshmem.wait_line(0, Deadline(0), line)


def test_processes_of_a_tree_can_use_our_controller(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "17.11")
    made = plan(conf(root, "{id: 1, coremask: 0x6}, {id: 2, type: vf, coremask: 0x18}", ", controller: ours"), tmp_path)
    assert made.windows[0].panes == ("ctrler",) and "sppr.live" in made.part("ctrler").program
    assert "127.0.0.1:6666" in made.part("sec2").program and str(made.api).endswith("api.sock")


class Recorded:
    """A terminal of spp.py that prints a given text for each typed line."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def ask(self, line: str, _: float) -> str:
        return self.texts[line]


def served(bare: bool, kind: str = "nfv", **texts: str) -> Service:
    lines = {f"sec {key[1:]};status" if key[1:].isdigit() else "status": text for key, text in texts.items()}
    return Service(Client(Recorded(lines), None, bare), kind)  # type: ignore[arg-type]


VF = """recv:6:len:231:
{
    "info": {
        "client-id": 2, 
        "core": [
            {
                "core": 2, 
                "type": "unuse"
            }
        ]
    }, 
    "results": [
        {
            "result": "success"
        }
    ]
}

"""  # noqa: W291 - as Python 2 prints it


def test_json_of_spp_vf_py_is_read_over_several_lines() -> None:
    """17.11 and 18.02 print the length of a reply, then its JSON indented."""
    connected = "Soft Patch Panel Status :\nprimary: 0\nsecondary count: 2\n"
    connected += "Connected secondary id: 2\nConnected secondary id: 3\n"
    service = served(False, "vf", status=connected, s2=VF, s3="closing:<socket._socketobject object at 0x7f>")
    assert service.processes() == [{"type": "vf", "client-id": 2}]
    assert service.status(2)["info"] == {"client-id": 2, "core": [{"core": 2, "type": "unuse"}]}
    with pytest.raises(RequestError, match="sec_id 3 not found"):
        service.status(3)
    ended = served(False, "vf", s2=VF + "closing:<socket._socketobject object at 0x7f>")
    assert ended.status(2)["results"] == [{"result": "success"}]


def test_gone_process_is_listed_again_only_after_its_next_reply() -> None:
    """The list caches a reply for 2 s, but a request that finds the process gone clears it."""
    texts = {
        "status": "primary: 0\nsecondary count: 1\nConnected secondary id: 1\n",
        "sec 1;status": "status: idling\nports: ''",
    }
    service = Service(Client(Recorded(texts), None, True), "nfv")  # type: ignore[arg-type]
    assert service.processes() == [{"type": "nfv", "client-id": 1}]
    texts["sec 1;status"] = "closing:<socket"
    assert service.processes() == [{"type": "nfv", "client-id": 1}], "its answer counts for 2 s"
    with pytest.raises(RequestError):
        service.status(1)
    assert service.processes() == []
    texts["sec 1;status"] = "status: idling\nports: ''"
    assert service.processes() == [{"type": "nfv", "client-id": 1}]


def test_echoed_change_of_a_classic_process_is_verified_by_its_status() -> None:
    texts = {
        "sec 1;status": "status: idling\nports: 'phy:0-ring:5,phy:1-null,ring:5-null'",
        "sec 1;patch reset": "patch reset", "sec 1;add vhost 1": "add vhost 1", "sec 1;forward": "forward",
        "sec 1;patch phy:1 ring:5": "patch phy:1 ring:5",
    }  # fmt: skip
    service = Service(Client(Recorded(texts), None, True), "nfv")  # type: ignore[arg-type]
    for call, what in (
        (lambda: service.reset(1), "`patch reset` did not have the requested effect: phy:0 -> ring:5 is present"),
        (
            lambda: service.port(1, "add", "vhost:1"),
            "`add vhost:1` did not have the requested effect: vhost:1 is missing",
        ),
        (lambda: service.patch(1, "phy:1", "ring:5"), "phy:1 -> ring:5 is missing"),
        (lambda: service.forward(1, "start"), "`forward` did not have the requested effect: the process is idling"),
    ):
        with pytest.raises(RequestError, match=re.escape(what)):
            call()


WIRE = "status: running\nports: 'phy:0-ring:5,phy:1-null,ring:5-null'" + "\0" * 900


@pytest.mark.parametrize(
    "printed",
    [WIRE, "status: running\nports:\n  - 'phy:0 -> ring:5'\n  - 'phy:1'\n  - 'ring:5'\n"],
    ids=["management port", "prompt"],
)
def test_status_of_18_05_is_read_without_a_wrapper(printed: str) -> None:
    status = served(True, s1=printed).status(1)
    assert status["ports"] == ["phy:0", "phy:1", "ring:5"] and status["status"] == "running"
    assert status["patches"] == [{"src": "phy:0", "dst": "ring:5"}]


def test_error_text_of_18_05_is_not_a_status() -> None:
    service = served(
        True, s1='status: idling\nports: "no ports"\n', s2="secondary id 2 not exist\n", s3="closing:<socket", s4="\0"
    )
    assert service.status(1)["ports"] == []
    for number in (2, 3, 4):
        with pytest.raises(RequestError, match=f"sec_id {number} not found"):
            service.status(number)


def check_python(folder: Path, version: str, program: str, **answer: object) -> None:
    major = int(str(answer.pop("major", 3)))
    releases.check_python(str(fake_tree.python(folder, major, **answer)), Version(version), program)  # type: ignore[arg-type]


def test_unsuitable_python_of_a_controller_is_reported_before_start(tmp_path: Path) -> None:
    """The message has the module, the interpreter and the pip command, instead of a traceback in a pane."""
    check_python(tmp_path, "HEAD", "spp-ctl")
    with pytest.raises(HostError, match="spp-ctl of SPP HEAD needs the Python module eventlet, which") as e:
        check_python(tmp_path, "HEAD", "spp-ctl", missing=("eventlet",))
    assert f"which {tmp_path}/python3 does not have" in e.value.what
    assert e.value.hint == f"{tmp_path}/python3 -m pip install eventlet"
    with pytest.raises(HostError, match="needs the Python modules queue, socketserver, yaml") as e:
        check_python(tmp_path, "18.05", "spp.py", major=2, missing=("queue", "socketserver", "yaml"))
    assert e.value.hint == f"{tmp_path}/python2 -m pip install future pyyaml"
    with pytest.raises(HostError, match=r"spp\.py of SPP 17\.05 needs Python 2, but .*python3 is Python 3"):
        check_python(tmp_path, "17.05", "spp.py", missing=("Queue",))
    check_python(tmp_path, "17.05", "spp.py", major=2)


def test_pyyaml_6_is_reported_if_the_cli_needs_an_older_one(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"spp\.py of SPP 18\.08\.2 calls yaml\.load without a Loader, .* 6\.0\.1") as e:
        check_python(tmp_path, "18.08.2", "spp.py", yaml="6.0.1")
    assert e.value.hint == f"{tmp_path}/python3 -m pip install pyyaml==5.3.1"
    with pytest.raises(HostError) as e:
        check_python(tmp_path, "18.08.2", "spp.py", missing=("yaml",), yaml="")
    assert e.value.hint == f"{tmp_path}/python3 -m pip install pyyaml==5.3.1"
    check_python(tmp_path, "18.08.2", "spp.py", yaml="5.4.1")
    check_python(tmp_path, "18.08.2", "spp-ctl", yaml="6.0.1")
    check_python(tmp_path, "18.08.3", "spp.py", yaml="6.0.1")


def test_modules_are_checked_in_a_real_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert releases.major_version(sys.executable) == 3
    monkeypatch.setattr(Version, "modules", lambda *_: ("json", "no_such_module_9", "yaml"))
    with pytest.raises(HostError, match="needs the Python module no_such_module_9, which") as e:
        releases.check_python(sys.executable, Version("HEAD"), "spp-ctl")
    assert e.value.hint == f"{sys.executable} -m pip install no_such_module_9"
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\necho nothing of the kind\n")
    liar.chmod(0o755)
    with pytest.raises(HostError, match="liar: cannot be used as Python"):
        releases.major_version(str(liar))


def test_preflight_checks_the_interpreter_of_each_controller(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "19.11")
    where = gather_paths(conf(root), tmp_path / "conf.yml", None)
    good, bad = fake_tree.python(tmp_path / "a", 3), fake_tree.python(tmp_path / "b", 3, missing=("netaddr",))
    replace(where, python=str(good)).check_controllers(["spp-ctl", "spp.py"])
    with pytest.raises(HostError, match="module netaddr"):
        replace(where, python=str(bad)).check_controllers(["spp-ctl"])
