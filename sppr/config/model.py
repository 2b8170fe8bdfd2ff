"""What conf.yml may say: frozen models, unknown keys refused, every default a value that works.

The five parts of the file of 2017 (controller, primary, secondaries, vms_ring, vms_vhost) keep their names and keys.
Scalars arrive as the text that was written (see ``load``), so a mask means the same quoted or not.
"""

import os
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sppr import units
from sppr.units import SppVersion


def _mask(value: object) -> object:
    """Masks of a YAML 1.1 loader would be decimal by now; ours are still text. A Python int is taken as it is."""
    if isinstance(value, str) and re.fullmatch(r"0[bB][01]{2,}", value):
        raise ValueError(f"{value[:40]!r} is binary to YAML and hexadecimal to DPDK")
    return units.parse_mask(value) if isinstance(value, str) else value


def _mib(value: object) -> object:
    return units.parse_mib(value) if isinstance(value, str) else value


def _host(value: str) -> str:
    """SPP's ``-s`` takes dotted IPv4 only: it never connects to a name (12.3 of the SPP facts)."""
    try:
        return str(IPv4Address("127.0.0.1" if value == "localhost" else value))
    except ValueError:
        raise ValueError(f"{value!r} is not a dotted IPv4 address, the only form SPP's -s takes") from None


def _network(value: str) -> str:
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"{value[:40]!r} is not an IPv4 network: {error}") from None


def _no_comma_words(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][!-~]*", value) is None:
        raise ValueError(f"{value!r} is not one EAL device argument such as net_tap0,iface=vtap0")
    return value


def _decimal(value: object) -> object:
    """Decimal digits only: int() of Python would take 1_0, 1.0 and digits of other scripts."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) is None:
        raise ValueError(f"{value[:40]!r} is not a whole number")
    return value


def _folder(value: str) -> str:
    return os.path.normpath(value)


def _yes(value: object) -> object:
    """Words as YAML 1.1 has them; they arrive as text."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.lower() not in words:
        raise ValueError(f"{value[:40]!r} is neither true nor false")
    return words[value.lower()] if isinstance(value, str) else value


Int = Annotated[int, BeforeValidator(_decimal)]
Yes = Annotated[bool, BeforeValidator(_yes)]
Mask = Annotated[int, BeforeValidator(_mask), Field(ge=0)]
Mib = Annotated[int, BeforeValidator(_mib)]
Id = Annotated[Int, Field(ge=1, le=127)]
Port = Annotated[Int, Field(ge=1, le=65535)]
UserName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
Network = Annotated[str, AfterValidator(_network)]
Vdev = Annotated[str, AfterValidator(_no_comma_words)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]
FilePrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]


SecondaryType = Literal["nfv", "vf", "mirror", "pcap"]

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Restart(_Part):
    """Whether a part that failed is run again: after ``delay`` seconds, then twice that …, ``max`` times in a row."""

    policy: Literal["no", "on-failure"] = "no"
    delay: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    max: Int = Field(default=5, ge=1, le=1000)


def _restart(value: object) -> object:
    if isinstance(value, str) and value not in ("no", "on-failure"):
        raise ValueError(f"{value[:40]!r} is not known")
    return {"policy": value} if isinstance(value, str) else value


Restarting = Annotated[Restart, BeforeValidator(_restart)]


class Controller(_Part):
    """Where SPP processes find the controller, and other programs its REST; ``rest_port`` 0: none over TCP.

    ``vf_*``: of the second controller, which spp_vf of SPP 17.11 to 18.05 wants. ``allow_users``: users of this machine
    who may connect, beside root and the lab's user. ``allow``: networks of other machines that may connect.
    """

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    pri_port: Port = 5555
    sec_port: Port = 6666
    rest_host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    rest_port: Annotated[Int, Field(ge=0, le=65535)] = 7777
    vf_pri_port: Port = 5556
    vf_sec_port: Port = 6667
    allow_users: tuple[UserName, ...] = ()
    allow: tuple[Network, ...] = ()
    restart: Restarting | None = None


class Primary(_Part):
    """The process that owns ports, hugepages and rings. ``memory`` in MiB, from hugepages."""

    coremask: Mask = 0x03
    portmask: Mask = 0x03
    rings: Int = Field(default=10, ge=1, le=98)
    memory: Mib = Field(default=512, ge=64, le=1048576)
    channels: Int = Field(default=4, ge=1, le=32)
    vdevs: tuple[Vdev, ...] = ()
    restart: Restarting | None = None


class Secondary(_Part):
    """A secondary under its id: ``spp_nfv``, or of a real SPP tree another ``type``; one lcore takes its commands.

    ``vhost_client``: QEMU makes the sockets of its vhost ports. ``port`` and ``out_dir``: what spp_pcap captures, and
    into which folder.
    """

    id: Id
    coremask: Mask
    type: SecondaryType = "nfv"
    vhost_client: Yes = False
    port: Annotated[str, Field(pattern=r"^(phy|ring):[0-9]{1,3}$")] = "phy:0"
    out_dir: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=255), AfterValidator(_folder)] | None = None
    restart: Restarting | None = None


class VmSettings(_Part):
    """What every VM gets unless its own entry says otherwise. ``memory`` in MiB; ``args`` go last to QEMU.

    ``network``: what a guest reaches from its management network. restricted: its own control connection alone; open:
    also other machines, but not the host's loopback.
    """

    memory: Mib = Field(default=256, ge=96, le=1048576)
    cores: Int = Field(default=1, ge=1, le=64)
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    network: Literal["restricted", "open"] = "restricted"
    args: tuple[str, ...] = ()
    ssh_port: Annotated[Int, Field(ge=0, le=65000)] = 22000
    ready_timeout: Annotated[float, Field(gt=0, le=3600)] = 180.0
    restart: Restarting | None = None


class Vm(_Part):
    """What both kinds of VM may say; ``secondary``: the one that serves its ports. ``cpus``: cores of the host
    that its QEMU is kept on."""

    id: Id
    secondary: Id | None = None
    memory: Mib | None = Field(default=None, ge=96, le=1048576)
    cores: Int | None = Field(default=None, ge=1, le=64)
    args: tuple[str, ...] | None = None
    restart: Restarting | None = None
    cpus: tuple[Annotated[Int, Field(ge=0, le=1023)], ...] | None = None


Numbers = tuple[Annotated[Int, Field(ge=0, le=999)], ...]


class VmRing(Vm):
    """A VM that shares rings with the host: ``rings`` are the numbers of its ``ivshmem:N`` ports."""

    rings: Numbers | None = None


class VmVhost(Vm):
    """A VM behind vhost-user ports: ``vhosts`` are the numbers of its ``vhost:N`` ports."""

    vhosts: Numbers | None = None


def _step(value: object) -> object:
    """A bare text is a line to run."""
    return {"run": value} if isinstance(value, str) else value


class Step(_Part):
    """What is done in a template while it is made: ``run``, lines for a root shell; or ``file``, one or a folder of the
    host, named from the folder of conf.yml, copied ``to`` a path in the guest."""

    run: Annotated[str, Field(min_length=1, max_length=10000)] | None = None
    file: Text | None = None
    to: Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*$", max_length=1000)] | None = None


def _interface(value: str) -> str:
    """As spp_primary takes it: dotted decimal, and a prefix length in decimal."""
    if re.fullmatch(r"[0-9.]{7,15}/([1-9]|[12][0-9]|30)", value) is None:
        raise ValueError(f"{value[:40]!r} is not an IPv4 address with a prefix length from 1 to 30")
    try:
        found = IPv4Interface(value)
    except ValueError as error:
        raise ValueError(f"{value[:40]!r} is not an IPv4 address with a prefix length: {error}") from None
    if found.ip.is_loopback or found.ip.is_multicast or found.ip.is_reserved or found.ip in IPv4Network("0.0.0.0/8"):
        raise ValueError(f"{value[:40]!r} is not an address that an interface can have")
    if found.ip in (found.network.network_address, found.network.broadcast_address):
        raise ValueError(f"{value[:40]!r} is the address of the network itself, or its broadcast address")
    return value


NetnsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]
Element = Annotated[str, Field(min_length=1, max_length=100)]


class End(_Part):
    """A tap at the end of a chain that is moved into a network namespace of its own, ``<session>-<netns>``, with an
    address, so that any program can talk across the chain."""

    netns: NetnsName
    address: Annotated[str, AfterValidator(_interface)] | None = None


class Chain(_Part):
    """A service chain: ``path`` from end to end, of ports and VMs by their part names.

    ``via``: the secondary of each hop. ``functions``: VMs whose own software forwards, in place of spp_vm.
    """

    path: tuple[Element, ...]
    direction: Literal["both", "forward"] = "both"
    via: tuple[Element, ...] | None = None
    functions: dict[str, Literal["spp_vm", "guest"]] = {}
    ends: dict[str, End] = {}


_UID = r"[a-z]{1,10}:[0-9]{1,3}(nq[0-9]{1,3})?"
PatchPart = Annotated[str, Field(pattern=r"^(pri|sec[1-9][0-9]{0,2}|vm_[rv][1-9][0-9]{0,2})$")]
PatchText = Annotated[str, Field(pattern=rf"^({_UID} -> {_UID}|{_UID}|idle)$")]
#: One entry of ``patches:``: a part, and ``tap:0 -> ring:0``; a port alone, which is added; or ``idle``: it does not
#: forward.
PatchLine = Annotated[dict[PatchPart, PatchText], Field(min_length=1, max_length=1)]


class Images(_Part):
    """Base image: a file name below ``dir``; None: the one image that lies there."""

    dir: Text = "runscripts"
    base: Annotated[str, Field(min_length=1, pattern=r"^[^/]+$")] | None = None
    format: Literal["qcow2", "raw"] = "qcow2"


class Spp(_Part):
    """A real SPP source tree, built. Without ``dir`` our own data plane forwards.

    ``controller`` ours: our own serves its processes. ``python``: what runs SPP's controllers. ``qemu``: the QEMU of
    ring VMs, patched for SPP 16.07.
    """

    dir: Text | None = None
    version: SppVersion = "auto"
    controller: Literal["spp", "ours"] = "spp"
    python: Text | None = None
    qemu: Text | None = None
    target: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = "x86_64-native-linuxapp-gcc"
    file_prefix: FilePrefix | None = None
    sock_dir: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=95), AfterValidator(_folder)] | None = None


class Config(_Part):
    """A lab as conf.yml describes it."""

    session: Name = "spp"
    restart: Restarting = Restart()
    controller: Controller = Controller()
    primary: Primary = Primary()
    secondaries: tuple[Secondary, ...] = ()
    vms_ring: tuple[VmRing, ...] = ()
    vms_vhost: tuple[VmVhost, ...] = ()
    vm: VmSettings = VmSettings()
    chains: dict[Name, Chain] = {}
    patches: tuple[PatchLine, ...] = ()
    images: Images = Images()
    provision: tuple[Annotated[Step, BeforeValidator(_step)], ...] = ()
    spp: Spp = Spp()
    hugepages: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=255), AfterValidator(_folder)] = "/dev/hugepages"

    @property
    def file_prefix(self) -> str:
        """EAL ``--file-prefix`` of every process of this lab, so that two labs do not share memory."""
        return self.spp.file_prefix or self.session
