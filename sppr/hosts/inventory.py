"""The Ansible inventory of a lab: hosts with their connection, and the variables that the playbooks use."""

import shlex
from importlib.metadata import version
from typing import Any

from sppr.config.hosts.split import text_of
from sppr.hosts.lab import HostsLab

GROUP = "sppr"
#: Options with which ssh ends a connection when the host has not answered for 6 s.
ALIVE = ("-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3")
#: Seconds to connect to a host. A host that is unreachable is reported within 10 s.
CONNECT_SECONDS = 6


def inventory(lab: HostsLab) -> dict[str, Any]:
    """Return the inventory as Ansible's YAML and JSON inventories have it. Every host is in the group ``sppr``."""
    hosts = {name: _host(lab, name) for name in lab.config.hosts}
    return {"all": {"children": {GROUP: {"hosts": hosts, "vars": {"sppr_version": version("sppr")}}}}}


def ssh_words(lab: HostsLab, name: str) -> list[str]:
    """Return the words of ssh that connect to a host as Ansible does, without a command."""
    host = lab.config.hosts[name]
    words = ["ssh", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
    if key := host.vars.get("ansible_ssh_private_key_file"):
        words += ["-i", key]
    for variable in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(host.vars.get(variable, ""))
    if host.port is not None:
        words += ["-p", str(host.port)]
    if host.user is not None:
        words += ["-l", host.user]
    return [*words, host.address]


def _host(lab: HostsLab, name: str) -> dict[str, Any]:
    host = lab.config.hosts[name]
    found: dict[str, Any] = {"ansible_host": host.address}
    if host.user is not None:
        found["ansible_user"] = host.user
    if host.port is not None:
        found["ansible_port"] = host.port
    if host.become:
        found["ansible_become"] = True
    found |= host.vars
    one = lab.labs[name].config if name in lab.labs else None
    if one is None:  # the parts are not placed yet
        return found
    return found | {
        "sppr_session": lab.session,
        "sppr_folder": lab.folder_on(name),
        "sppr_program": host.program,
        "sppr_links": lab.links_of(name),
        "sppr_counts": {"ns": len(one.secondaries), "nr": len(one.vms_ring), "nv": len(one.vms_vhost)},
        "sppr_conf": text_of(one),
    }
