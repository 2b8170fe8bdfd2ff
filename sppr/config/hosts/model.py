"""The sections ``hosts:`` and ``links:`` of conf.yml."""

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sppr.config.values import Int, InterfaceName, Mib, Port, Section, Text, UserName, Yes, key

HostName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,14}$")]
#: Sections whose entries are parts with a host.
PARTS = ("secondaries", "vms_ring", "vms_vhost")
#: Variables of Ansible that hold a secret. conf.yml is no place for them.
SECRETS = ("pass", "passwd", "password", "passphrase", "secret", "token")
Nic = Annotated[str, Field(pattern=r"^phy:([0-9]|[12][0-9]|3[01])$")]
#: UDP port of VXLAN (RFC 7348).
VXLAN_PORT = 4789


def _ipv4(value: str) -> str:
    """Check an address of a link. A VXLAN netdev takes no name."""
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not an IPv4 address") from None


class Host(Section):
    """A machine of a lab over several hosts. ``address``, ``user``, ``port`` and ``become`` are for Ansible."""

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$")] = key(
        ..., "address or name that ssh connects to"
    )
    user: UserName | None = key(None, "user that ssh logs in as; by default that of your ssh configuration")
    port: Port | None = key(None, "port of its ssh server; by default that of your ssh configuration")
    become: Yes = key(False, "`true`: the lab runs as root there, by sudo")
    vars: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")], Text] = key(
        {}, "more variables for Ansible, such as `{ansible_python_interpreter: /usr/bin/python3}`; no secrets"
    )
    folder: Annotated[str, Field(pattern=r"^[~/][!-~]*$", max_length=200)] = key(
        "~/sppr-labs", "folder of the labs on this host; this one is in its subfolder with the name of the session"
    )
    program: Annotated[str, Field(pattern=r"^[~/][!-~]*$", max_length=200)] = key(
        "/opt/sppr", "folder of this program on the host; `sppr up` copies it there if the folder does not exist"
    )
    link_address: Annotated[str, AfterValidator(_ipv4)] | None = key(
        None, "IPv4 address of this host for links; `address` by default"
    )
    cores: Int | None = key(None, "cores for parts that are placed; by default all of the host", ge=1, le=1024)
    memory: Mib | None = key(None, "MiB for VMs that are placed, `8G`; by default what is free on the host", ge=64)


class Link(Section):
    """A link between two hosts. In the conf.yml of one host: an interface or a NIC that it is made of."""

    between: Annotated[tuple[HostName, ...], Field(min_length=2, max_length=2)] | None = key(
        None, "the two hosts of the link, `[east, west]`; chains and pictures name it `link:east-west`"
    )
    via: Literal["vxlan"] = key("vxlan", "what the link is made of, unless it has `phy`")
    phy: Annotated[dict[HostName, Nic], Field(min_length=2, max_length=2)] | None = key(
        None, "a cable instead of VXLAN: the NIC of each host that it connects, `{east: phy:1, west: phy:1}`"
    )
    vni: Annotated[Int, Field(ge=1, le=16777215)] | None = key(
        None, "VXLAN network identifier; by default one that follows from the session, the link and its addresses"
    )
    port: Port = key(VXLAN_PORT, "UDP port of VXLAN")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] | None = key(
        None, "in the conf.yml of one host, which `sppr up` writes: the name of the link"
    )
    peer: Annotated[str, AfterValidator(_ipv4)] | None = key(
        None, "in the conf.yml of one host: the address of the other host of the link"
    )
    netdev: InterfaceName | None = key(None, "in the conf.yml of one host: the interface that the primary takes")
    nic: Nic | None = key(None, "in the conf.yml of one host: the NIC that the primary takes, if the link is a cable")

    @property
    def ends(self) -> tuple[str, ...]:
        """Return the two hosts, or an empty tuple if conf.yml names none."""
        return self.between or tuple(self.phy or ())
