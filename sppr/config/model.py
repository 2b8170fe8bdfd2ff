"""The model of conf.yml. Models are frozen and refuse unknown keys. Every default is a value that works.

The five sections of the file of 2017 (controller, primary, secondaries, vms_ring, vms_vhost) keep their names and keys.
Scalars arrive as written (see ``values``), so a mask means the same quoted or not. The descriptions are the text of
docs/conf.md (``make docs``).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sppr import impairment
from sppr.config import values
from sppr.config.hosts.model import Host, HostName, Link
from sppr.config.values import (
    FilePrefix,
    Id,
    ImpairValue,
    Int,
    InterfaceName,
    Mask,
    Mib,
    Name,
    NetnsName,
    Network,
    Port,
    Section,
    Text,
    UserName,
    Vdev,
    Yes,
    key,
)
from sppr.units import SppVersion, Start

SecondaryType = Literal["nfv", "vf", "mirror", "pcap"]


class Restart(Section):
    """Restart policy of a part that fails: a status other than 0, or a signal."""

    policy: Literal["no", "on-failure"] = key("no", "`on-failure` restarts the part in its pane")
    delay: Annotated[float, Field(ge=0.1, le=60)] = key(
        1.0, "seconds before the first restart; doubled each time, up to 60"
    )
    max: Int = key(5, "restarts in a row; 60 s without a failure end a row", ge=1, le=1000)


#: The policies of ``restart``, which are its short form, too.
POLICIES = ("no", "on-failure")


def _restart(value: object) -> object:
    if isinstance(value, str) and value not in POLICIES:
        raise ValueError(f"{value[:40]!r} is not known")
    return {"policy": value} if isinstance(value, str) else value


Restarting = Annotated[Restart, BeforeValidator(_restart)]
_RESTART = "restart policy of this part alone, in the same forms as `restart`"
_HOST = "name of its host in `hosts`; by default it is placed where cores and memory are free"


class Controller(Section):
    """The addresses of the controller, and who may connect to them."""

    host: Annotated[str, AfterValidator(values.host)] = key(
        "127.0.0.1", "address for SPP processes; dotted IPv4, the only form that SPP's `-s` takes"
    )
    pri_port: Port = key(5555, "port for the primary")
    sec_port: Port = key(6666, "port for secondaries")
    rest_host: Annotated[str, AfterValidator(values.host)] = key("127.0.0.1", "address for REST")
    rest_port: Annotated[Int, Field(ge=0, le=65535)] = key(
        7777, "port for REST v1 ([controller.md](controller.md)); `0` disables it. Labs side by side need a port each"
    )
    web: Yes = key(True, "the web page of the patch panel, at the address for REST ([live.md](live.md))")
    metrics: Yes = key(True, "`/metrics` for Prometheus, at the address for REST ([live.md](live.md))")
    vf_pri_port: Port = key(5556, "port for the primary of spp_vf.py, the second controller of SPP 17.11 to 18.05")
    vf_sec_port: Port = key(6667, "port for the secondaries of spp_vf.py")
    allow_users: tuple[UserName, ...] = key(
        (),
        "users of this machine who may connect, besides root and the user of the lab ([security.md](security.md))",
    )
    allow: tuple[Network, ...] = key(
        (), "networks of other machines that may connect, as `[192.168.1.0/24]`; required if an address is not loopback"
    )
    restart: Restarting | None = key(None, _RESTART)


class Primary(Section):
    """spp_primary: it owns the ports, the hugepages and the rings."""

    coremask: Mask = key(0x03, "lcores, hexadecimal; the first one takes commands, the others forward")
    portmask: Mask = key(0x03, "DPDK ports to use; without a NIC and a vdev, each bit becomes a TAP interface")
    rings: Int = key(10, "number of rings: `ring:0`, `ring:1` …", ge=1, le=98)
    memory: Mib = key(512, "MiB of hugepages; `1G` is accepted", ge=64, le=1048576)
    channels: Int = key(4, "memory channels, EAL `-n`", ge=1, le=32)
    vdevs: tuple[Vdev, ...] = key(
        (),
        "EAL devices, such as `net_tap0,iface=vtap0`. No other interface may have the name of a tap; "
        "a multi-queue tap that no process has open is used",
    )
    restart: Restarting | None = key(None, _RESTART)


class Secondary(Section):
    """A secondary process."""

    id: Id = key(..., "client id")
    coremask: Mask = key(
        ..., "lcores, used by no other process: at least two (`pcap`: three), the first takes commands"
    )
    type: SecondaryType = key(
        "nfv", "the program: `nfv` patches ports, `vf` classifies and merges, `mirror` copies, `pcap` writes files"
    )
    vhost_client: Yes = key(False, "`true`: QEMU creates the sockets of its vhost ports")
    port: Annotated[str, Field(pattern=r"^(phy|ring|tap):[0-9]{1,3}$")] = key(
        "phy:0", "port that an spp_pcap captures; in a lab without NICs `phy:N` is port N of the primary"
    )
    out_dir: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=255), AfterValidator(values.folder)] | None = key(
        None, "folder of the captures of an spp_pcap; /tmp by default"
    )
    restart: Restarting | None = key(None, _RESTART)
    host: HostName | None = key(None, _HOST)


_START = (
    "`warm` resumes a VM from a state that is saved once per machine, `boot` boots it, "
    "`auto` resumes it where that is possible"
)


class VmSettings(Section):
    """Settings of every VM, unless its own entry overrides them."""

    memory: Mib = key(256, "MiB", ge=96, le=1048576)
    cores: Int = key(1, "virtual cores", ge=1, le=64)
    accel: Literal["auto", "kvm", "tcg"] = key(
        "auto",
        "`auto` uses KVM if the CPU has vmx or svm, /dev/kvm opens, and a boot sector ran in KVM since the host booted",
    )
    start: Start = key("auto", _START)
    network: Literal["restricted", "open"] = key(
        "restricted",
        "what a guest reaches from its management network: `restricted`, its control connection only; "
        "`open`, other machines too, but no address of the host",
    )
    bridge: InterfaceName | None = key(
        None,
        "an existing Linux bridge, such as `br0`, to which each VM gets a NIC; it replaces `ssh_port` and `network`. "
        "The lab must run as root, and never creates or changes the bridge ([guide.md](guide.md#put-vms-on-a-bridge))",
    )
    args: tuple[str, ...] = key((), "more QEMU arguments; they come last and may not repeat ours")
    ssh_port: Annotated[Int, Field(ge=0, le=65000)] = key(
        22000, "port 127.0.0.1:`ssh_port` + *id* is forwarded to the ssh server of VM *id*; `0` disables it"
    )
    ready_timeout: Annotated[float, Field(gt=0, le=3600)] = key(
        180.0, "seconds until a VM must be ready; up to five times as many while its console prints or QEMU is busy"
    )
    restart: Restarting | None = key(None, _RESTART)


class Vm(Section):
    """What ring VMs and vhost VMs have in common."""

    id: Id = key(..., "client id, of no other part")
    secondary: Id | None = key(None, "id of the secondary that serves its ports; assigned in turn by default")
    memory: Mib | None = key(None, "as `vm.memory`, for this VM", ge=96, le=1048576)
    cores: Int | None = key(None, "as `vm.cores`, for this VM", ge=1, le=64)
    args: tuple[str, ...] | None = key(None, "as `vm.args`, for this VM")
    start: Start | None = key(None, "as `vm.start`, for this VM")
    restart: Restarting | None = key(None, _RESTART)
    cpus: tuple[Annotated[Int, Field(ge=0, le=1023)], ...] | None = key(
        None, "cores of the host, `[2, 3]`, to which all threads of its QEMU are pinned; all by default"
    )
    host: HostName | None = key(None, _HOST)


Numbers = tuple[Annotated[Int, Field(ge=0, le=999)], ...]


class VmRing(Vm):
    """A VM that shares rings with the host."""

    rings: Numbers | None = key(None, "numbers of its `ivshmem:N` ports, `ring:0` … in the guest; its id by default")


class VmVhost(Vm):
    """A VM with vhost-user ports."""

    vhosts: Numbers | None = key(None, "numbers of its `vhost:N` ports; by default its id, then 100 more each")


def _step(value: object) -> object:
    """Convert a bare text to a step that runs it."""
    return {"run": value} if isinstance(value, str) else value


class Step(Section):
    """A step that runs while a template is built: either ``run``, or ``file`` and ``to``."""

    run: Annotated[str, Field(min_length=1, max_length=10000)] | None = key(
        None, "lines for a root shell in the guest; a bare text means the same"
    )
    file: Text | None = key(None, "file or folder of the host, relative to conf.yml")
    to: Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*$", max_length=1000)] | None = key(
        None, "path in the guest to which `file` is copied"
    )


Element = Annotated[str, Field(min_length=1, max_length=100)]


class End(Section):
    """A tap at an end of a chain that is moved into a network namespace, so that any program can use the chain."""

    netns: NetnsName = key(
        ..., "the tap is moved into the network namespace `<session>-NAME`, which `wakeup` creates and `down` removes; "
        "taps of the primary only"
    )  # fmt: skip
    address: Annotated[str, AfterValidator(values.interface)] | None = key(
        None, "address of the tap in its namespace, such as `10.20.0.1/24`"
    )


class Match(Section):
    """The frames of a chain: those of a VLAN, those to a MAC address, or those of both. Without a key: ``default``."""

    vlan: Annotated[Int, Field(ge=1, le=4094)] | None = key(None, "VLAN id of the frames, in both directions")
    dst_mac: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")] | None = key(
        None, "destination address of the frames; in the reverse direction their source address"
    )

    def words(self, *, reverse: bool = False) -> str:
        """Return the match of a direction as the data plane takes it: ``vlan=100 dst_mac=02:00:00:00:00:21``."""
        vlan = f"vlan={self.vlan}" if self.vlan is not None else ""
        mac = f"{'src' if reverse else 'dst'}_mac={self.dst_mac.lower()}" if self.dst_mac is not None else ""
        return " ".join(filter(None, (vlan, mac)))


def _match(value: object) -> object:
    if isinstance(value, str) and value != "default":
        raise ValueError(f"{value[:40]!r} is not known")
    if value == {}:
        raise ValueError("without a key it takes no frames")
    return Match() if value == "default" else value


class Impair(Section):
    """The impairment of a chain, in each direction, where frames enter. Keys and values are those of `tc netem`."""

    delay: ImpairValue | None = key(None, "delay of each frame, such as `20ms`")
    jitter: ImpairValue | None = key(None, "variation of the delay, such as `2ms`")
    distribution: Literal["uniform", "normal"] | None = key(
        None, "of the jitter: `uniform` (default), or `normal`, where the jitter is the standard deviation"
    )
    loss: ImpairValue | None = key(
        None, "share of frames that are lost, such as `0.5%`; or `gemodel P R 1-H 1-K` in percent (Gilbert-Elliott)"
    )
    duplicate: ImpairValue | None = key(None, "share of frames that are sent twice, such as `1%`")
    corrupt: ImpairValue | None = key(None, "share of frames in which one random bit changes")
    reorder: ImpairValue | None = key(None, "share of frames that are not delayed, so that they overtake others")
    gap: ImpairValue | None = key(None, "at least N - 1 frames are delayed between two that are reordered")
    rate: ImpairValue | None = key(None, "token bucket: bits per second, such as `10mbit`")
    burst: ImpairValue | None = key(None, "size of the bucket in bytes; by default those of 4 ms, at least 9018")
    limit: ImpairValue | None = key(None, "frames that are held at once; 10000 by default. More are lost")
    seed: ImpairValue | None = key(None, "seed of the random numbers; the same seed loses the same frames")

    def words(self) -> str:
        """Return the impairment as the data plane takes it: ``delay=20ms loss=0.5%``."""
        return impairment.words((key, value) for key, value in self if value is not None)


class Chain(Section):
    """A service chain."""

    path: tuple[Element, ...] = key(
        ...,
        "the chain from end to end, `[tap:0, vm_r6, vm_v11, tap:1]`: VMs by their part names; "
        "a port (`tap`, `phy`, `pcap`, `memif`, `nullpmd`) at an end only",
    )
    direction: Literal["both", "forward"] = key("both", "`forward` wires one direction only")
    via: tuple[Element, ...] | None = key(None, "the secondary of each hop, `[sec1, sec1, sec2]`; planned by default")
    functions: dict[str, Literal["spp_vm", "guest"]] = key(
        {}, "`{vm_v11: guest}`: in that VM, software of the guest forwards instead of spp_vm"
    )
    match: Annotated[Match, BeforeValidator(_match)] | None = key(
        None,
        "the frames of the chain, such as `{vlan: 100}`: chains with `match` may share their ends; `default`: the "
        "frames that no other chain of an end takes. By default a chain takes all frames of its ends",
    )
    impair: Impair | None = key(None, "impairment of the chain, such as `{delay: 20ms, jitter: 2ms, loss: 0.5%}`")
    ends: dict[str, End] = key({}, "taps at the ends that get a network namespace, by port: `{tap:0: {netns: client}}`")

    def match_words(self, *, reverse: bool = False) -> str:
        """Return the match of a direction: words of the data plane, ``default``, or "" for all frames."""
        return "" if self.match is None else self.match.words(reverse=reverse) or "default"

    def impair_words(self) -> str:
        """Return the impairment of each direction as words of the data plane, or "" for none."""
        return self.impair.words() if self.impair is not None else ""


_UID = r"[a-z]{1,10}:[0-9]{1,3}(nq[0-9]{1,3})?"
_MAC = r"(dst|src)_mac=[0-9a-f]{2}(:[0-9a-f]{2}){5}"
_VLAN = r"([1-9][0-9]{0,2}|[123][0-9]{3}|40[0-8][0-9]|409[0-4])"
_SOURCE = rf"{_UID}( vlan={_VLAN})?( {_MAC})?"
PatchPart = Annotated[str, Field(pattern=r"^(pri|sec[1-9][0-9]{0,2}|vm_[rv][1-9][0-9]{0,2})$")]
PatchText = Annotated[str, Field(pattern=rf"^({_SOURCE} -> {_UID}|{_UID}|idle)$")]
#: One entry of ``patches:``: a part, and ``tap:0 -> ring:0`` or ``tap:0 vlan=100 -> ring:0``; a port alone, which is
#: added; or ``idle``, which means that the part does not forward.
PatchLine = Annotated[dict[PatchPart, PatchText], Field(min_length=1, max_length=1)]


class Images(Section):
    """The folder of images, and the base image in it."""

    dir: Text = key("runscripts", "folder of base images and templates; instances are in its subfolder `img/`")
    base: Annotated[str, Field(min_length=1, pattern=r"^[^/]+$")] | None = key(
        None, "file name of the base image; may be omitted while there is one only. `sppr image import` adds more"
    )
    format: Literal["qcow2", "raw"] = key("qcow2", "format of the base image")


class Spp(Section):
    """An upstream SPP source tree that is built. Without ``dir``, our own data plane runs."""

    dir: Text | None = key(None, "folder of the tree, the one with `src/` in it ([upstream-spp.md](upstream-spp.md))")
    version: SppVersion = key("auto", "release of the tree; `auto` detects it")
    controller: Literal["spp", "ours"] = key("spp", "`ours`: our controller serves the processes of the tree")
    python: Text | None = key(None, "Python that runs the controllers of the tree; by release by default")
    qemu: Text | None = key(None, "QEMU for ring VMs of SPP 16.07, patched for ivshmem")
    target: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = key(
        "x86_64-native-linuxapp-gcc", "RTE_TARGET that the tree was built with"
    )
    file_prefix: FilePrefix | None = key(
        None, "EAL `--file-prefix` of all processes of the lab; the name of the session by default"
    )
    sock_dir: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=95), AfterValidator(values.folder)] | None = key(
        None,
        "folder of vhost-user sockets `sockN`, memif sockets, regions `ivshmemN` and the files of `pcap:N`; by default "
        "the run directory of the session, with `spp.dir` /tmp, the only folder that SPP's programs know. In a folder "
        "that other users can write, one of them can create a socket first, and get the memory of a guest",
    )


class Config(Section):
    """A lab as conf.yml describes it."""

    session: Name = key(
        "spp",
        "name of the tmux session: letters, digits, `-`, `_`. The session belongs to the folder of this file; "
        "`up` and `down` refuse in another folder",
    )
    restart: Restarting = key(
        Restart(),
        "`on-failure`: a part that was ready once and then fails is restarted in its pane. Ctrl-C, SIGTERM and the "
        "verbs of `sppr` are no failures. A part that was started by hand is no longer watched",
    )
    controller: Controller = Controller()
    primary: Primary = Primary()
    secondaries: tuple[Secondary, ...] = ()
    vms_ring: tuple[VmRing, ...] = ()
    vms_vhost: tuple[VmVhost, ...] = ()
    vm: VmSettings = VmSettings()
    hosts: dict[HostName, Host] = key({})
    links: tuple[Link, ...] = ()
    chains: dict[Name, Chain] = key({})
    patches: tuple[PatchLine, ...] = key(
        (),
        "patches that belong to no chain, each `sec1: tap:0 -> ring:5`; or a port alone, which is added; or `idle`. "
        "`sppr save` prints them",
    )
    images: Images = Images()
    provision: tuple[Annotated[Step, BeforeValidator(_step)], ...] = ()
    spp: Spp = Spp()
    hugepages: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=255), AfterValidator(values.folder)] = key(
        "/dev/hugepages", "mount point of hugetlbfs"
    )

    @property
    def file_prefix(self) -> str:
        """EAL ``--file-prefix`` of every process of this lab, so that two labs do not share memory."""
        return self.spp.file_prefix or self.session
