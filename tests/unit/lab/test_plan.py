"""The plan is a value: conf.yml, flags and the machine in, every window and command out."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sppr.cli.context import gather
from sppr.cli.inspect import plan_text
from sppr.config.load import load, parse
from sppr.config.model import Config
from sppr.errors import ConfigError, HostError
from sppr.host.facts import Facts, Interface
from sppr.images.store import Store
from sppr.lab.paths import LabPaths
from sppr.lab.plan import requirements, vms
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from sppr.lab.state import state
from sppr.lab.up import preflight
from sppr.parts.part import Part
from tests.conftest import ROOT, Golden

MACHINE = Facts(cpus=(0, 1))


def single_vm(*args: Any) -> Part:
    return vms.single_vm(*args)[0]


DATA = ROOT / "tests/golden/data"


@pytest.fixture
def config() -> Config:
    return load(ROOT / "conf.yml")


def paths(folder: str = "/lab") -> LabPaths:
    where = Path(folder)
    return LabPaths(
        session="spp",
        conf=where / "conf.yml",
        folder=where,
        run=Path("/run/sppr/spp"),
        scripts=where / "runscripts",
        store=Store(where / "runscripts", "base.qcow2", "qcow2"),
        public_key=where / "runscripts/lab_key.pub",
        tree=Path("/spp"),
    )


def test_wrong_portmask_is_reported_with_its_location(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text("primary:\n  vdevs: [net_null0, net_null1]\n  portmask: 0x01\n")
    with pytest.raises(ConfigError) as e:
        gather(conf, None, None, {})
    message = f"{conf}:3:13: primary.portmask: portmask 0x01 selects 1 port, but the number of devices is 2"
    assert e.value.what.startswith(message) and e.value.hint == "portmask: 0x03"
    with pytest.raises(ConfigError) as e:
        gather(conf, None, None, {"portmask": 0x7})
    assert e.value.what.startswith("portmask 0x07 selects 3 ports") and e.value.hint == "-p 0x03"


def test_missing_socket_folder_is_reported_once(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text((ROOT / "conf.yml").read_text() + "\nspp: {sock_dir: /no-such-dir}\n")
    lab = gather(conf, None, None, {"nof_vhost": 2, "vhost_num": 2})
    found = preflight.find_problems(lab.plan, lab.paths, lab.facts)
    assert [f.what for f in found if "no such folder for" in f.what] == [
        "/no-such-dir: no such folder for the vhost-user sockets"
    ]


def test_tap_is_awaited_only_if_the_primary_exited(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root does not see that the primary, which runs as root, has the tap open."""
    waits: list[float] = []
    tap = Interface("vtap0", "tap", multi_queue=True)
    monkeypatch.setattr(preflight, "TAP_GONE", 0.0)
    monkeypatch.setattr(preflight, "find_problems", lambda *_: [])
    monkeypatch.setattr(preflight.facts, "interfaces", lambda _: waits.append(1) or (tap,))
    made, found = plan(config), replace(MACHINE, interfaces=(tap,))
    assert "vtap0" in requirements.taps(made)
    preflight.check(made, paths(), found, ("pri",), ("pri",))
    preflight.check(made, paths(), found, ("sec1",))
    assert waits == []
    preflight.check(made, paths(), found, ("pri",))
    assert waits


def test_controller_gets_users_and_networks_of_conf_yml() -> None:
    text = (ROOT / "conf.yml").read_text()
    keys = "controller:\n  allow_users: [root, daemon]\n  allow: [192.168.1.0/24, 10.0.0.0/8]"
    assert text.count("\ncontroller:") == 1
    program = plan(parse(text.replace("\ncontroller:", f"\n{keys}").encode(), "c")).part("ctrler").program
    given = [program[i : i + 2] for i, word in enumerate(program) if word in ("--allow-user", "--allow")]
    assert given == [
        ("--allow-user", "root"), ("--allow-user", "daemon"),
        ("--allow", "192.168.1.0/24"), ("--allow", "10.0.0.0/8"),
    ]  # fmt: skip


def plan(config: Config, facts: Facts = MACHINE, **flags: object) -> Plan:
    return make(config, Flags(**flags), facts, paths())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("default", {}),
        ("many", {"nof_sec": 3, "nof_ring": 2, "nof_vhost": 2, "nof_working": 2, "vhost_num": 2}),
        ("template", {"template": True}),
        ("vdevs", {"portmask": 0x0F, "vdev_tap": (0, 1, 2), "vdev_vhost": (11,), "nof_ring": 0}),
        ("nothing-but-the-primary", {"nof_sec": 0, "nof_ring": 0, "nof_vhost": 0, "nof_working": 0}),
    ],
)
def test_printed_plan_is_unchanged(config: Config, golden: Golden, name: str, flags: dict[str, object]) -> None:
    printed = "\n".join(plan_text(plan(config, **flags))).replace(os.path.realpath(os.sys.executable), "PYTHON")  # type: ignore[attr-defined]
    printed = "\n".join(
        line if "-m sppr.live" not in line else "    becomes: (controller)" for line in printed.split("\n")
    )
    golden.check(DATA / f"plan-{name}.txt", printed.replace("/usr/bin/qemu-system-x86_64", "qemu-system-x86_64") + "\n")


def test_windows_are_in_order_without_empty_ones(config: Config) -> None:
    assert [w.name for w in plan(config).windows] == ["ctrler", "pri", "sec", "vm_r", "vm_v", "w0"]
    assert [w.name for w in plan(config, nof_sec=0, nof_ring=0, nof_vhost=0, nof_working=2).windows] == [
        "ctrler", "pri", "w0", "w1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"nof_sec": 6}, "secondaries: 6 requested, but conf.yml has 5"),
        ({"nof_ring": 7, "nof_vhost": 8}, "vms_ring: 7 .*has 5\nvms_vhost: 8 .*has 5"),
    ],
)
def test_more_parts_than_in_conf_yml_are_refused(config: Config, flags: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        plan(config, **flags)


def test_portmask_must_match_the_devices(config: Config) -> None:
    with pytest.raises(ConfigError, match="portmask 0x01 selects 1 port, but the number of devices is 3") as e:
        plan(config, vdev_tap=(0, 1, 2), portmask=1)
    assert e.value.hint and "-p 0x07" in e.value.hint
    words = plan(config, vdev_tap=(0, 1, 2)).part("pri").program
    assert words[words.index("-p") + 1] == "0x07", "without -p the mask follows the devices"
    with pytest.raises(ConfigError, match="-p 0: the mask is empty"):
        plan(config, portmask=0)


def test_default_number_of_parts_is_limited_by_conf_yml() -> None:
    few = parse(b"secondaries: [{id: 1, coremask: 0x0C}]\n", "c")
    assert [p.name for p in plan(few).parts] == ["ctrler", "pri", "sec1"]
    with pytest.raises(ConfigError, match=r"secondaries: 2 requested, but conf\.yml has 1"):
        plan(few, nof_sec=2)


def test_lcores_keep_their_ids_and_share_the_available_cores(config: Config) -> None:
    words = plan(config).part("sec2").program
    assert words[words.index("--lcores") + 1] == "4@0,5@1"
    words = plan(config, facts=Facts(cpus=tuple(range(16)))).part("sec2").program
    assert words[words.index("-l") + 1] == "4,5"


def test_taps_are_created_for_the_portmask_only_without_a_nic(config: Config) -> None:
    assert [w for w in plan(config).part("pri").program if "net_tap" in w] == [
        "net_tap0,iface=vtap0",
        "net_tap1,iface=vtap1",
    ]
    bound = replace(MACHINE, nics=("0000:00:04.0", "0000:00:05.0"))
    made = plan(config, facts=bound)
    assert not [w for w in made.part("pri").program if "net_tap" in w or w == "--no-pci"]
    (left,) = made.wiring.left_out
    assert left.why == "the primary has no tap:0, tap:1: a NIC is bound to DPDK, or other vdevs are set"


def test_vhost_vms_are_distributed_over_secondaries_or_the_primary(config: Config) -> None:
    servers = [p.server for p in plan(config, nof_vhost=3).parts if p.role == "vm_vhost"]
    assert servers == ["nfv:1", "nfv:2", "nfv:1"]
    assert plan(config, nof_sec=0).part("vm_v11").server == "primary"
    assert plan(config, nof_sec=0).part("vm_v11").depends_on == ("pri",)


def test_vm_can_name_its_secondary_and_ports() -> None:
    secondaries = b"secondaries: [{id: 1, coremask: 0x0C}, {id: 2, coremask: 0x30}]\n"
    config = parse(secondaries + b"vms_vhost: [{id: 11, secondary: 2, vhosts: [4, 5]}]", "c")
    part = make(config, Flags(nof_ring=0), MACHINE, paths()).part("vm_v11")
    assert part.server == "nfv:2" and part.depends_on == ("sec2",)
    assert part.sockets == ("/tmp/sock4", "/tmp/sock5") and part.command[-2:] == ("-d", "4,5")
    with pytest.raises(ConfigError, match="VM 11 needs secondary 2, which is not among the 1 that start"):
        make(config, Flags(nof_sec=1, nof_ring=0), MACHINE, paths())


def test_vhost_vm_with_a_vdev_of_the_primary_has_no_server(config: Config) -> None:
    made = plan(config, vdev_vhost=(11,), portmask=1)
    part = made.part("vm_v11")
    assert made.wiring.left_out[0].why.startswith("the ports of vm_v11 are vdevs of the primary (-vdv)")
    assert part.server == "" and part.sockets == ("/tmp/sock11",) and part.depends_on == ("pri",)


def test_plan_is_loaded_from_disk_unchanged(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path))
    (tmp_path / "spp").mkdir()
    kept = state.State(
        replace(plan(config, nof_vhost=2), run=str(tmp_path / "spp")), "boot", "up", {"pri": ("@1", "%1")}
    )
    kept.save()
    assert state.load("spp") == kept and state.sessions() == ["spp"]


def test_overlapping_vhost_numbers_of_vms_are_refused() -> None:
    config = parse(b"vms_vhost: [{id: 11}, {id: 111}]", "c")
    with pytest.raises(ConfigError, match="vhost:111 would serve both VM 11 and VM 111") as e:
        make(config, Flags(nof_sec=0, nof_ring=0, nof_vhost=2, vhost_num=2), MACHINE, paths())
    assert e.value.hint and "vhosts: [N, …]" in e.value.hint


def test_single_vm_is_planned_by_id(config: Config) -> None:
    assert single_vm(config, MACHINE, paths(), "vhost", 12, None).sockets == ("/tmp/sock12",)
    assert single_vm(config, MACHINE, paths(), "vhost", 12, (3, 4)).sockets == ("/tmp/sock3", "/tmp/sock4")
    assert single_vm(config, MACHINE, paths(), "ring", 0, None).disk.endswith("runscripts/or-base.qcow2")
    with pytest.raises(ConfigError, match="vms_ring: no VM 99") as e:
        single_vm(config, MACHINE, paths(), "ring", 99, None)
    assert e.value.hint == "its ids are 6, 7, 8, 9, 10"


def test_normal_vm_has_no_ports_and_no_server(config: Config) -> None:
    part = single_vm(config, MACHINE, paths(), "normal", 5, None)
    assert (part.role, part.ports, part.server, part.is_vm) == ("vm_normal", (), "", True)
    assert part.disk == "/lab/runscripts/img/n5-base.qcow2" and part.template == "/lab/runscripts/on-base.qcow2"


def test_vm_is_pinned_to_the_cores_of_conf_yml() -> None:
    config = parse(b"vms_ring: [{id: 6, cpus: [2, 3]}, {id: 7}]", "conf.yml")
    assert [single_vm(config, MACHINE, paths(), "ring", vm, None).cpus for vm in (6, 7)] == [(2, 3), ()]


def test_too_long_socket_folder_is_refused(config: Config) -> None:
    made = make(config, Flags(), MACHINE, paths())
    preflight._check_length(replace(made, sock_dir=f"/{'x' * 94}"))
    with pytest.raises(HostError, match=r"too long for the folder of vhost-user sockets \(95 bytes at most\)"):
        preflight._check_length(replace(made, sock_dir=f"/{'x' * 95}"))
