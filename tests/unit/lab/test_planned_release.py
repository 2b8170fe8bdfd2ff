"""What a release of upstream SPP does not support: the whole text of each refusal, and the limits of each release."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.config import load
from sppr.config.model import Chain, Config
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.lab.paths import LabPaths, gather_paths
from sppr.lab.plan import controllers, vms
from sppr.lab.plan.plan import Flags
from sppr.spp.releases import Version
from tests.fakes import tree as fake_tree
from tests.unit.lab.test_plan import single_vm

LAB = """\
secondaries: [%s]
vms_ring: [{id: 6}]
vms_vhost: [{id: 11}]
spp: {dir: %s, python: %s%s}
"""
NFV = "{id: 1, coremask: 0xC}"


def lab(
    folder: Path, version: str, secondaries: str = NFV, keys: str = "", **controller: int
) -> tuple[Config, LabPaths]:
    """Return a configuration with an upstream SPP tree of this release, and its paths."""
    root = folder / f"spp-{version}"
    if not root.exists():
        fake_tree.make(root, version)
    config = load.parse((LAB % (secondaries, root, sys.executable, keys)).encode(), "conf.yml")
    if controller:
        config = config.model_copy(update={"controller": config.controller.model_copy(update=controller)})
    return config, gather_paths(config, folder / "conf.yml", None)


def refusals(config: Config, paths: LabPaths, **flags: object) -> list[str]:
    """Return the lines of the error, without the release. An empty list if nothing is refused."""
    given = Flags(**{"nof_sec": 2, "nof_ring": 0, "nof_vhost": 0, **flags})  # type: ignore[arg-type]
    try:
        controllers.check_release(config, given, paths)
    except ConfigError as error:
        assert error.hint == "see docs/upstream-spp.md; spp.version selects another release"
        begin = f"SPP {paths.version.name}: "
        assert all(line.startswith(begin) for line in error.what.splitlines())
        return [line.removeprefix(begin) for line in error.what.splitlines()]
    return []


IVSHMEM = "ring VMs need DPDK's ivshmem, which only 16.07 has, or our own data plane; start without them: -nr 0"
REST = "controller.rest_port is 0, but the launcher and the CLI need this port; set it, for example to 7777"
SERVER = "vhost VMs need an nfv that serves their ports, because this release's primary cannot forward"
VF = "{id: 2, type: vf, coremask: 0x30}"


@pytest.mark.parametrize(
    ("version", "secondaries", "flags", "found"),
    [
        ("19.11", NFV, {}, []),
        ("18.08.1", "{id: 2, type: pcap, coremask: 0x70}", {},
         ["secondary 2: this release has no spp_pcap, only nfv, vf, mirror"]),
        ("18.05", "{id: 16, coremask: 0x30}", {}, []),
        ("18.05", "{id: 17, coremask: 0x30}", {},
         ["secondary 17: spp.py accepts ids up to 16; a higher id ends its accept loop"]),
        ("18.08.1", "{id: 127, coremask: 0x30}", {}, []),
        ("18.08.1", "{id: 1, coremask: 0x30, vhost_client: true}", {},
         ["secondary 1: vhost_client requires 18.08.2 or later"]),
        ("18.08.2", "{id: 1, coremask: 0x30, vhost_client: true}", {}, []),
        ("18.08.1", "{id: 1, type: vf, coremask: 0x30, vhost_client: true}", {}, []),
        ("17.08", f"{NFV}, {VF}", {"nof_sec": 1}, []),
        ("19.11", NFV, {"nof_ring": 1}, [IVSHMEM]),
        ("16.07", NFV, {"nof_ring": 1}, ["ring VMs need the patched QEMU; set spp: {qemu: PATH}"]),
        ("18.08.4", VF, {"nof_vhost": 1}, [SERVER]),
        ("18.08.4", f"{VF}, {NFV}", {"nof_vhost": 1}, []),
        ("19.08", VF, {"nof_vhost": 1}, []),
        ("16.07", NFV, {"vdev_tap": (0,)}, ["-vdt: the DPDK of this release has no TAP driver"]),
        ("17.02", NFV, {"vdev_tap": (0,)}, []),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, version: str, secondaries: str, flags: dict[str, object], found: list[str]) -> None:
    assert refusals(*lab(tmp_path, version, secondaries, f", version: {version}"), **flags) == found


@pytest.mark.parametrize(("version", "found"), [("17.05", []), ("17.08", [REST]), ("18.05", [REST]), ("19.11", [REST])])
def test_releases_that_need_the_rest_port(tmp_path: Path, version: str, found: list[str]) -> None:
    assert refusals(*lab(tmp_path, version, rest_port=0)) == found
    assert refusals(*lab(tmp_path, version, rest_port=1)) == []


def test_a_patched_qemu_permits_ring_vms(tmp_path: Path) -> None:
    assert refusals(*lab(tmp_path, "16.07", keys=", qemu: /opt/qemu"), nof_ring=1) == []


@pytest.mark.parametrize(
    ("folder", "flags", "refused"),
    [
        ("/var/sockets", {"nof_vhost": 1}, True),
        ("/var/sockets", {"vdev_vhost": (3,)}, True),
        ("/var/sockets", {}, False),
        ("/tmp", {"nof_vhost": 1}, False),
    ],
)
def test_sockets_of_upstream_programs_are_in_tmp(
    tmp_path: Path, folder: str, flags: dict[str, object], refused: bool
) -> None:
    found = refusals(*lab(tmp_path, "19.11", keys=f", sock_dir: {folder}"), **flags)
    text = "spp.sock_dir is /var/sockets, but upstream programs use /tmp only; remove this key"
    assert found == ([text] if refused else [])


@pytest.mark.parametrize(
    ("version", "port", "first"),
    [
        ("19.08", "memif:0", "19.11"), ("19.11", "memif:0", None), ("17.11", "nullpmd:1", "18.02"),
        ("18.02", "nullpmd:1", None), ("17.11", "pcap:2", "18.02"), ("18.02", "pcap:2", None), ("16.07", "phy:0", None),
        ("18.08.1", "tap:0", "18.08.2"), ("18.08.2", "tap:0", None),
    ],
)  # fmt: skip
def test_ports_of_chains(tmp_path: Path, version: str, port: str, first: str | None) -> None:
    config, paths = lab(tmp_path, version)
    config = config.model_copy(update={"chains": {"web": Chain(path=("phy:0", port))}})
    assert refusals(config, paths) == ([f"chain web: {port} requires {first} or later"] if first else [])


def test_sppr_and_its_controller_refuse_nothing(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "16.07", keys=", sock_dir: /var/x")
    assert refusals(config, replace(paths, tree=None), nof_ring=1, nof_vhost=1) == []
    assert refusals(config, replace(paths, version=Version()), nof_ring=1, nof_vhost=1) == []


def test_the_vf_controller_has_a_socket_of_its_own(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "17.11", f"{NFV}, {VF}")
    parts = controllers.controllers(config, paths, config.secondaries)
    assert [part.name for part in parts] == ["ctrler", "vfctrl"]
    assert parts[1].control == str(paths.run / "vf.sock") == str(controllers.vf_socket(paths.run))
    assert "--vf" in parts[1].command and controllers.rest_address(config, paths) == ""
    config, paths = lab(tmp_path, "19.11")
    assert controllers.rest_address(config, paths) == "127.0.0.1:7777"


def test_the_command_line_of_a_ring_vm_of_16_07(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "16.07", keys=", qemu: /opt/qemu-2.3.0")
    config = config.model_copy(update={"vm": config.vm.model_copy(update={"ssh_port": 30000, "args": ("-snapshot",)})})
    part = vms.VmPlanner(config, Flags(nof_sec=1), Facts(cpus=(0, 1)), paths).vm("ring", config.vms_ring[0])
    text = " ".join(part.program)
    assert text.startswith("/opt/qemu-2.3.0 -name vm-r6 -m 256 ") and text.endswith(" -snapshot")
    for words in (f"file={part.disk}", "hostfwd=tcp:127.0.0.1:30006-:22", part.qmp, "mac=02:", "-smp 1"):
        assert words in text, words
    assert "-enable-kvm" not in text


def test_single_vms(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "19.11")
    facts = Facts(cpus=(0, 1))
    image = vms.VmOptions(nics=2, image=(tmp_path / "other.img", "raw"))
    part = single_vm(config, facts, paths, "orig", 3, None, image)
    assert part.disk == str(tmp_path / "other.img") and part.id == 0 and part.template == ""
    with pytest.raises(ConfigError) as caught:
        single_vm(config.model_copy(update={"vms_vhost": ()}), facts, paths, "vhost", 11, None)
    assert caught.value.what == f"vms_vhost: no VM 11 in {paths.conf}" and caught.value.hint == "its ids are none"
    text = b"secondaries: [{id: 1, coremask: 0xC}, {id: 2, coremask: 0x30}]\nvms_vhost: [{id: 11}, {id: 12}]"
    two = load.parse(text, "c")
    assert single_vm(two, facts, replace(paths, tree=None), "vhost", 12, None).server == "nfv:2"


def test_parts_of_upstream_controllers(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "19.11")
    ctl, cli = controllers.controllers(config, paths, config.secondaries)
    assert (ctl.name, ctl.kind, ctl.upstream, ctl.program[:2]) == (
        "ctrler", "spp-ctl", True, (sys.executable, f"{paths.tree}/src/spp-ctl/spp-ctl"),
    )  # fmt: skip
    assert (cli.name, cli.kind, cli.upstream, cli.depends_on) == ("cli", "cli", True, ("ctrler",))
    assert cli.console == str(paths.run / "cli.log") and "--cli" in cli.command and "--cli" not in ctl.command
    config, paths = lab(tmp_path, "17.11", f"{NFV}, {VF}")
    spp, vf = controllers.controllers(config, paths, config.secondaries)
    assert (spp.kind, vf.kind) == ("spp.py", "spp_vf.py") and f"{paths.tree}/src/spp_vf.py" in vf.program
    assert f"{paths.run}/api.sock" in spp.program and f"{paths.run}/vf.sock" in vf.program


def test_our_controller_has_the_addresses_of_conf_yml(tmp_path: Path) -> None:
    config, paths = lab(tmp_path, "19.11", pri_port=15555, sec_port=16666, rest_port=17777)
    (ours,) = controllers.controllers(config, replace(paths, tree=None), config.secondaries)
    text = " ".join(ours.program)
    assert ours.kind == "" and not ours.upstream
    assert "--pri-port 15555 --sec-port 16666" in text and "--api-port 17777" in text
