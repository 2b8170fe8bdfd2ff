"""Checks of who can control the lab: users of this machine, other machines, guests."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from sppr.host.checks.check import Check, Finding, Process, Requirements, listed
from sppr.host.facts import Facts

_SPPR_CONTROLLER = "sppr.live"


def _access(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.processes:
        if process.role != "controller":
            continue
        if _SPPR_CONTROLLER in process.argv:
            yield _own_controller(process, required.user)
        elif not any("cli" in word for word in process.argv):
            what = (
                f"{process.name}: spp-ctl and spp.py serve every user of this machine, every guest with any id, "
                f"and every"
                " machine that can reach their address (they do not support controller.allow)"
            )
            fix = "it controls processes of root: permit only trusted users here, or set spp: {controller: ours}"
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
    what = (
        f"{where}: accepts {', '.join(names)} of this machine, and {others}; each guest has its own control connection"
    )
    if networks and not (_is_loopback(address) and _is_loopback(rest_address)):
        return Finding(
            "reach",
            "warning",
            what,
            "every machine in these networks can control processes of root: permit only those that need it",
        )
    return Finding("reach", "info", what, "none; docs/security.md lists what each of them can do")


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
            else ("chmod o+x that folder, or use another: SPPR_RUN_DIR, spp.sock_dir in conf.yml")
        )
        yield Finding("vm-user", "warning", what, fix)


def _access_ok(_: Facts, required: Requirements) -> str:
    names = [process.name for process in required.processes if process.role == "controller"]
    return f"controllers of this lab: {listed(names, 'none')}; none of them accepts connections from others"


def _vm_user_ok(_: Facts, required: Requirements) -> str:
    if not required.vms:
        return "no VM is planned"
    names = listed((vm.name for vm in required.vms), "none")
    if required.is_root:
        return f"VMs {names}: user sppr-vm exists and can enter the folders of the lab"
    return f"VMs {names} run as {required.user or 'this user'}"


CHECKS = (
    Check(
        "reach",
        "a connection to the controller was refused",
        "connect as root or as the lab's user, or set controller: {allow_users: [NAME]} or {allow: [NETWORK]}",
        _access_ok,
        (r"refused .*: uid \d+.* is not allowed", r"is in no network of controller\.allow"),
        inspect=_access,
    ),
    Check(
        "vm-user",
        "VMs of a root lab run as root",
        "sppr setup",
        _vm_user_ok,
        inspect=_vm_user,
    ),
)
