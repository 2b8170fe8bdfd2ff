"""The fix that is suggested for a value of conf.yml, by its key and by what was written."""

import pytest

from sppr.config import fixes
from sppr.config.problem import Path

LAB_ADDRESS = "write an address such as 127.0.0.1"
NAME = "use letters, digits, - and _ only"


@pytest.mark.parametrize(
    ("path", "given", "fix"),
    [
        (("vm", "memory"), "1T", "write MiB, or a number with M or G"),
        (("secondaries", 0, "restart"), "yes", "use one of: no, on-failure, {policy: on-failure, delay: 1, max: 5}"),
        (("secondaries", 0, "vhost_client"), "maybe", "write true or false"),
        (("controller", "host"), "localhost", LAB_ADDRESS),
        (("controller", "rest_host"), "localhost", LAB_ADDRESS),
        (("controller", "allow", 0), "x", "write networks such as [192.168.1.0/24]"),
        (("vm", "network"), "none", "use one of: restricted, open"),
        (("primary", "vdevs", 0), "tap0", "write it as net_tap0,iface=vtap0"),
        (("chains", "web", "ends", "tap:0", "address"), "x", "write it as 10.20.0.1/24"),
        (("chains", "web", "via", 0), "x", "see docs/conf.md"),
        (("spp", "version"), "x", "see docs/conf.md"),
        *((("vms_ring", 0, key), "0x6", "write a decimal number: 6") for key in ("id", "cores", "secondary")),
        *((("vms_ring", 0, key, 1), "0o6", "write a decimal number: 6") for key in ("rings", "vhosts")),
        *(
            (("controller", key), "7_777", "write a decimal number: 7777")
            for key in ("pri_port", "sec_port", "rest_port")
        ),
        (("vm", "ssh_port"), "+6", "write a decimal number: 6"),
        (("primary", "channels"), "1.0", "write a decimal number: 1"),
        (("vms_ring", 0, "id"), "010", "write a decimal number: 10"),
        (("vms_ring", 0, "id"), "1.5", "write one decimal number"),
        (("vms_ring", 0, "id"), "1e9", "write one decimal number"),
        (("vms_ring", 0, "id"), "-999999999", "write a decimal number: -999999999"),
        (("vms_ring", 0, "id"), "999999999", "write a decimal number: 999999999"),
        (("vms_ring", 0, "id"), "1000000000", "write one decimal number"),
        (("vms_ring", 0, "id"), "inf", "write one decimal number"),
        (("vms_ring", 0, "id"), "nan", "write one decimal number"),
        (("vms_ring", 0, "id"), "six", "write one decimal number"),
        (("vms_ring", 0, "id"), "6#of the lab", "put a space before #, where a comment begins"),
        (("vms_ring", 0, "id"), " 6 ", "write a decimal number: 6"),
        (("primary", "coremask"), "0-3", "write the mask of these bits: 0x0F"),
        (("primary", "portmask"), "1,2", "write the mask of these bits: 0x06"),
        (("primary", "coremask"), ["0", "2"], "write the mask of these bits: 0x05"),
        (("primary", "coremask"), "127", f"write the mask of these bits: 0x8{'0' * 31}"),
        (("primary", "coremask"), "128", "write a mask such as 0x0C"),
        (("primary", "coremask"), "all", "write a mask such as 0x0C"),
        (("primary", "coremask"), [], "write a mask such as 0x0C"),
    ],
)
def test_fix_for_a_value_of_the_wrong_type(path: Path, given: object, fix: str) -> None:
    assert fixes.of_value(path, given) == fix


ENTRIES = "begin each entry with '- ', a dash and a space"


@pytest.mark.parametrize(
    ("path", "given", "fix"),
    [
        (("secondaries",), "1", ENTRIES),
        (("vms_ring",), "6 7", ENTRIES),
        (("vms_vhost",), "11", ENTRIES),
        (("vms_ring", 0, "rings"), 3, ENTRIES),
        (("vms_ring", 0, "rings"), "1, 2", "write [1, 2]"),
        (("vms_ring", 0, "rings"), "1 2,3", "write [1, 2, 3]"),
        (("chains", "web", "path"), "tap:0 vm_v11", "write [tap:0, vm_v11]"),
        (("chains", "web", "path"), "tap:x vm_v11", "write ['tap:x', vm_v11]"),
        (("vm", "args"), "-m 3,x=1", "write [-m, '3,x=1']"),
        (("primary", "vdevs"), "net_tap0,iface=a net_null0", "write ['net_tap0,iface=a', net_null0]"),
        (("vm", "args"), "x" * 59, f"write [{'x' * 59}]"),
        (("vm", "args"), "x" * 60, "write it in brackets, with commas between its entries"),
    ],
)
def test_fix_for_a_value_that_should_be_a_list(path: Path, given: object, fix: str) -> None:
    assert fixes.of_list(path, given) == fix


LINES = "write 'key: value' lines below it, indented"


@pytest.mark.parametrize(
    ("path", "given", "fix"),
    [
        (("provision", 0), ["x"], "write '- COMMAND', or '- {file: PATH, to: /PATH}'"),
        (("patches", 0), "x", "write '- sec1: tap:0 -> ring:0', a part and one patch"),
        (("chains",), "x", "write 'NAME: {path: [tap:0, vm_v11, tap:1]}' lines below chains:, indented"),
        (("chains", "web"), "x", "write 'NAME: {path: [tap:0, vm_v11, tap:1]}' lines below chains:, indented"),
        (("chains", "web", "functions"), "x", "write {vm_v11: guest}"),
        (("chains", "web", "ends"), "x", "write {tap:0: {netns: client, address: 10.20.0.1/24}}"),
        (("secondaries", 0), "3", "write the entry as '- id: 3', its other keys below id:"),
        (("secondaries", 0), "²", "write the entry as '- id: 1', its other keys below id:"),
        (("secondaries", 0), "x", "write the entry as '- id: 1', its other keys below id:"),
        (("secondaries", 0), 7, "write the entry as '- id: 1', its other keys below id:"),
        (("primary",), ["x"], f"{LINES}, without '- '"),
        (("primary",), "coremask = 0x1", "write 'coremask: 0x1'"),
        (("primary",), "coremask,0x1", "write 'coremask: 0x1'"),
        (("primary",), "coremask;0x1", "write 'coremask: 0x1'"),
        (("primary",), "coremask 0x1", "write 'coremask: 0x1'"),
        (("primary",), "cores = 0x1", LINES),
        (("primary",), 3, LINES),
    ],
)
def test_fix_for_a_value_that_should_be_a_mapping(path: Path, given: object, fix: str) -> None:
    assert fixes.of_mapping(path, given, ["coremask", "memory"]) == fix


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        (("patches", 0, "sec1"), "write '- sec1: tap:0 -> ring:0', a part and one patch"),
        (("provision", 0, "to"), "write an absolute path in the guest"),
        (("controller", "allow_users", 0), "write user names of this machine, such as [ana, ben]"),
        (("primary", "port"), "write phy:N, ring:N or tap:N"),
        (("spp", "sock_dir"), "write an absolute path without spaces"),
        (("hugepages",), "write an absolute path without spaces"),
        (("secondaries", 0, "out_dir"), "write an absolute path without spaces"),
        (("spp", "dir"), "write a path"),
        (("images", "base"), "write a file name only; the folder goes to images.dir"),
        (("primary", "file_prefix"), NAME),
        (("spp", "target"), NAME),
        (("chains", "web", "ends", "tap:0", "netns"), NAME),
        (("session",), f"{NAME} (tmux reads . and : as separators), 32 at most"),
    ],
)
def test_fix_for_a_text_with_invalid_characters(path: Path, fix: str) -> None:
    assert fixes.of_pattern(path) == fix
