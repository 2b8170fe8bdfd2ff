"""Who can reach the lab: users of this machine, other machines, guests."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from sppr.host.checks.check import Check, Finding, Process, Requirements, listed
from sppr.host.facts import Facts

_OWN = "sppr.controller"


def _reach(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.processes:
        if process.role != "controller":
            continue
        if _OWN in process.argv:
            yield _own_controller(process, required.user)
        elif not any("cli" in word for word in process.argv):
            what = (
                f"{process.name}: SPP's own controller serves every user of this machine, every guest under any id, and"
                " every machine that reaches its address (it does not know controller.allow)"
            )
            fix = "it commands processes of root: let no stranger log in here, or set spp: {controller: ours}"
            yield Finding("reach", "warning", what, fix)


def _own_controller(process: Process, user: str) -> Finding:
    names = dict.fromkeys(["root", user or "root", *process.values("--allow-user")])
    ports = [*process.values("--pri-port"), *process.values("--sec-port")]
    address = next(iter(process.values("--host")), "127.0.0.1")
    rest = next(iter(process.values("--api-port")), "0")
    rest_address = next(iter(process.values("--api-host")), "127.0.0.1")
    where = f"{address} ports {', '.join(ports)}" + (f", REST at {rest_address}:{rest}" if rest != "0" else "")
    networks = process.values("--allow")
    others = f"machines in {', '.join(networks)}" if networks else "no other machine"
    what = f"{where}: {', '.join(names)} of this machine, and {others}; each guest its own control connection"
    if networks and not (_is_loopback(address) and _is_loopback(rest_address)):
        return Finding(
            "reach", "warning", what, "every machine in these networks can command processes of root: keep them few"
        )
    return Finding("reach", "info", what, "nothing: docs/security.md says what each can do")


def _is_loopback(address: str) -> bool:
    try:
        return IPv4Address(address).is_loopback
    except AddressValueError:
        return False


def _vm_user(_: Facts, required: Requirements) -> Iterator[Finding]:
    if required.vm_user_problem and required.vms:
        what = f"VMs of this lab run as root: {required.vm_user_problem}"
        fix = (
            "sppr setup   (adds user sppr-vm)"
            if "no user" in required.vm_user_problem
            else ("chmod o+x that folder, or move it: SPPR_RUN_DIR, spp.sock_dir in conf.yml")
        )
        yield Finding("vm-user", "warning", what, fix)


def _reach_seen(_: Facts, required: Requirements) -> str:
    names = [process.name for process in required.processes if process.role == "controller"]
    return f"controllers of this lab: {listed(names, 'none')}; none of them opens a port to others"


def _vm_user_seen(_: Facts, required: Requirements) -> str:
    if not required.vms:
        return "no VM is planned"
    names = listed((vm.name for vm in required.vms), "none")
    if required.is_root:
        return f"VMs {names}: user sppr-vm exists and reaches the folders of the lab"
    return f"VMs {names} run as {required.user or 'this user'}"


CHECKS = (
    Check(
        "reach",
        "a connection to the controller was refused",
        "use root or the lab's user, or: controller: {allow_users: [NAME]} or {allow: [NETWORK]}",
        _reach_seen,
        (r"refused .*: uid \d+.* is not allowed", r"is in no network of controller\.allow"),
        look=_reach,
    ),
    Check(
        "vm-user",
        "VMs of a root lab run as root",
        "sppr setup",
        _vm_user_seen,
        look=_vm_user,
    ),
)
