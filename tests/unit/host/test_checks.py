"""Each finding names what was found and the command that mends it."""

from dataclasses import replace

import pytest

from sppr.host.checks import Needs, check
from sppr.host.facts import Facts, Hugepages

GOOD = Facts(cpus=(0, 1, 2, 3), hugepages=(Hugepages(2048, 512, 512),), hugetlbfs=("/dev/hugepages",))
NEEDS = Needs(
    programs={"tmux": "/usr/bin/tmux"},
    tcp_ports={5555: "controller.pri_port"},
    lcores=(0, 1, 2, 3),
    sockets=("/tmp/sock11",),
    hugepage_mib=512,
    who_listens=lambda port: f"pid {port}",
)


def test_a_machine_that_has_all_is_passed() -> None:
    assert check(GOOD, NEEDS) == []


@pytest.mark.parametrize(
    ("facts", "needs", "identity", "what", "fix"),
    [
        (GOOD, replace(NEEDS, is_root=False), "root", "DPDK needs root", "sudo -E"),
        (GOOD, replace(NEEDS, programs={"tmux": None}), "program", "tmux: not installed", "make up"),
        (replace(GOOD, hugepages=()), NEEDS, "hp-none", "needs 512 MiB, 0 MiB are free (of 0 MiB", "sppr setup"),
        (replace(GOOD, hugetlbfs=()), NEEDS, "hp-mount", "/dev/hugepages is not a hugetlbfs mount", "mount -t"),
        (replace(GOOD, tcp_listening=frozenset({5555})), NEEDS, "net-port", "port 5555", "another port"),
        (replace(GOOD, unix_listening=frozenset({"/tmp/sock11"})), NEEDS, "vhost-taken", "/tmp/sock11", "sock_dir"),
        (GOOD, replace(NEEDS, accel="kvm"), "kvm-none", "/dev/kvm cannot be opened", "accel: auto"),
        (replace(GOOD, kvm_device=True), replace(NEEDS, accel="kvm"), "kvm-none", "neither vmx nor svm", "auto"),
    ],
)
def test_what_is_missing_is_told_with_its_fix(facts: Facts, needs: Needs, identity: str, what: str, fix: str) -> None:
    [finding] = check(facts, needs)
    assert finding.id == identity and finding.severity == "error"
    assert what in finding.what and fix in finding.fix


def test_fewer_cores_than_lcores_is_one_warning_behind_the_errors() -> None:
    found = check(replace(GOOD, cpus=(0, 1), hugetlbfs=()), NEEDS)
    assert [f.id for f in found] == ["hp-mount", "cores-exist"] and found[1].severity == "warning"
    assert "4 lcores on 2 cores" in found[1].what


def test_the_one_who_has_a_port_is_named() -> None:
    assert "taken by pid 5555" in check(replace(GOOD, tcp_listening=frozenset({5555})), NEEDS)[0].what
