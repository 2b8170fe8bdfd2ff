"""Releases of SPP: told apart by what is in a tree, and what each wants on its command lines."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.config import load
from sppr.config.model import Config
from sppr.deadline import Deadline
from sppr.errors import ConfigError, HostError, NotReady
from sppr.host.facts import Facts
from sppr.lab import site
from sppr.lab.plan import Flags, Plan
from sppr.lab.planner import make
from sppr.spp import era, ivshmem, tree
from sppr.spp.versions import VERSIONS, Version
from tests.fakes import link
from tests.fakes import tree as fake_tree

#: No file tells these apart, and nothing here differs between them.
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
    where = site.gather(config, folder / "conf.yml", None)
    return make(config, Flags(**{"nof_ring": None, "nof_vhost": 0, **flags}), Facts(cpus=(0, 1)), where)  # type: ignore[arg-type]


def test_the_fakes_and_the_launcher_know_the_same_releases() -> None:
    assert VERSIONS == link.VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tree_is_told_by_what_is_in_it(tmp_path: Path, version: str) -> None:
    root = fake_tree.make(tmp_path, version)
    assert era.detect(root) == SAME.get(version, version)
    for kind in Version(version).kinds:
        found = tree.binary(kind, root, fake_tree.TARGET)
        assert found.is_file() and (f"/src/{kind}/src/{kind}/" in str(found)) == (version in ("16.07", "17.02"))
    era.check(root, Version(version))


@pytest.mark.parametrize("form", ["{k}/{t}/app", "{k}/{t}", "{k}/src/{k}/{t}/app", "{k}/src/{k}/{t}"])
def test_programs_are_found_in_every_form_of_path(tmp_path: Path, form: str) -> None:
    place = tmp_path / "src" / form.format(k="vf", t="T") / "spp_vf"
    place.parent.mkdir(parents=True)
    place.touch()
    assert tree.binary("vf", tmp_path, "T") == place


def test_what_is_missing_is_told_with_every_path_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(HostError) as e:
        era.check(tmp_path, Version("HEAD"))
    assert f"tried: {tmp_path}/src/spp-ctl/spp-ctl" in e.value.what and f"tried: {tmp_path}/src/spp.py" in e.value.what
    fake_tree.make(tmp_path, "17.08", missing=("nfv",))
    with pytest.raises(HostError, match=r"no controller of SPP 19\.11") as e:
        era.check(tmp_path, Version("19.11"))
    assert e.value.hint == "this tree is of SPP 17.08: spp.version"
    with pytest.raises(HostError) as e:
        site.gather(conf(tmp_path), tmp_path / "conf.yml", None).check_binaries(["primary", "nfv"])
    assert e.value.what.count("tried: ") == 4
    with pytest.raises(HostError, match="wants nopython9, which is not installed"):
        where = replace(site.gather(conf(tmp_path), tmp_path / "conf.yml", None), python="nopython9")
        where.check_controllers(["spp.py"])
    assert site.gather(conf(tmp_path / "none"), tmp_path / "conf.yml", None).version == Version("HEAD")


@pytest.mark.parametrize("version", VERSIONS)
def test_controllers_of_each_release(tmp_path: Path, version: str) -> None:
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
        assert made.api == "127.0.0.1:7777" and made.part("cli").needs == ("ctrler",)
        return
    words = first.program[first.program.index("--") + 1 :]
    manage = ("-m", "7777", "-ip", "127.0.0.1") if VERSIONS.index(version) >= VERSIONS.index("17.08") else ()
    assert words == (sys.executable, f"{root}/src/spp.py", "-p", "5555", "-s", "6666", *manage)
    assert ("--manage" in first.program) == bool(manage) and str(made.api).endswith("/spp/api.sock")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_primary_of_each_release(tmp_path: Path, version: str) -> None:
    made = plan(conf(fake_tree.make(tmp_path / "spp", version)), tmp_path)
    words = made.part("pri").program
    assert ("--base-virtaddr" in words) == (VERSIONS.index(version) < VERSIONS.index("19.08"))
    assert words[words.index("--file-prefix") + 1] == "spp" in made.part("sec1").program
    assert [w for w in words if "null" in w] == [f"{'eth' if version == '16.07' else 'net'}_null{n}" for n in (0, 1)]
    assert "--base-virtaddr" not in made.part("sec1").program


def test_secondaries_of_all_kinds(tmp_path: Path) -> None:
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


def test_vf_of_17_11_has_a_controller_of_its_own(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "17.11")
    made = plan(conf(root, "{id: 1, coremask: 0x6}, {id: 2, type: vf, coremask: 0x18}"), tmp_path)
    assert made.windows[0].panes == ("ctrler", "vfctrl") and made.tcp_ports == (5555, 6666, 7777, 5556, 6667)
    controller, vf = made.part("vfctrl"), made.part("sec2")
    assert controller.program[-4:] == ("-p", "5556", "-s", "6667") and "--manage" not in controller.program
    assert "127.0.0.1:6667" in vf.program and vf.control == controller.control and vf.needs == ("pri", "vfctrl")
    assert "127.0.0.1:6666" in made.part("sec1").program and made.part("sec1").control == ""


@pytest.mark.parametrize(
    ("version", "secondaries", "flags", "text"),
    [
        ("17.08", "{id: 2, type: vf, coremask: 0x18}", {}, "secondary 2: it has no spp_vf, only nfv"),
        ("18.05", "{id: 17, coremask: 0x18}", {}, "secondary 17: spp.py takes ids up to 16"),
        ("18.05", "{id: 1, coremask: 0x18, vhost_client: yes}", {}, "vhost_client is of 18.08.2 and later"),
        ("19.11", "{id: 1, coremask: 0x18}", {"nof_ring": 1}, "ring VMs share memory by DPDK's ivshmem"),
        ("18.08.4", "{id: 2, type: vf, coremask: 0x18}", {"nof_vhost": 1}, "vhost VMs want an nfv"),
        ("16.07", "{id: 1, coremask: 0x18}", {"vdev_tap": (0, 1)}, "its DPDK has no taps"),
    ],
)
def test_what_a_release_cannot_do_is_refused(
    tmp_path: Path, version: str, secondaries: str, flags: dict[str, object], text: str
) -> None:
    root = fake_tree.make(tmp_path / "spp", version)
    config = conf(root, secondaries)
    ring = load.parse(b"vms_ring: [{id: 6}]", "c").vms_ring
    with pytest.raises(ConfigError, match=f"SPP {version}: .*{text}"):
        plan(config.model_copy(update={"vms_ring": ring}), tmp_path, nof_sec=1, **flags)


RING = "-device ivshmem,size=32M,shm=fd:/dev/hugepages/rtemap_0:0x0:0x400000:/dev/zero:0x0:0x5fc000:/m:0x0:0x4000"


def test_a_ring_vm_of_16_07_is_run_by_the_patched_qemu(tmp_path: Path) -> None:
    config = conf(fake_tree.make(tmp_path / "spp", "16.07"), more=", qemu: /opt/qemu-2.3.0")
    ring = load.parse(b"vms_ring: [{id: 6}]", "c").vms_ring
    config = config.model_copy(update={"vms_ring": ring})
    part = plan(config, tmp_path, nof_ring=1).part("vm_r6")
    assert (part.kind, part.ports, part.regions, part.needs) == ("ivshmem", (), (), ("pri",))
    assert part.program[:5] == ("/opt/qemu-2.3.0", "-name", "vm-r6", "-m", "256")
    assert part.program[part.program.index("-serial") + 1] == "mon:stdio" and "-fw_cfg" not in part.program
    with pytest.raises(ConfigError, match=r"SPP 16\.07: ring VMs want the QEMU that was patched"):
        plan(config.model_copy(update={"spp": config.spp.model_copy(update={"qemu": None})}), tmp_path, nof_ring=1)


def test_the_line_for_qemu_is_waited_for_and_must_be_of_this_primary(tmp_path: Path) -> None:
    line, began = tmp_path / "line", time.time()
    with pytest.raises(NotReady, match="line: is not there"):
        ivshmem.wait_line(began, Deadline(0), line)
    line.write_text(RING + "\n")
    os.utime(line, (began - 5, began - 5))
    with pytest.raises(NotReady, match="is of a primary before") as e:
        ivshmem.wait_line(began, Deadline(0), line)
    assert e.value.hint and "x86_64-ivshmem-linuxapp-gcc" in e.value.hint
    os.utime(line, (began + 1, began + 1))
    assert ivshmem.wait_line(began, Deadline(0), line) == RING.split()


def test_its_processes_may_run_under_our_controller(tmp_path: Path) -> None:
    root = fake_tree.make(tmp_path / "spp", "17.11")
    made = plan(conf(root, "{id: 1, coremask: 0x6}, {id: 2, type: vf, coremask: 0x18}", ", controller: ours"), tmp_path)
    assert made.windows[0].panes == ("ctrler",) and "sppr.controller" in made.part("ctrler").program
    assert "127.0.0.1:6666" in made.part("sec2").program and str(made.api).endswith("api.sock")
