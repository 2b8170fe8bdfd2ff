"""Networks for the tests of topo: statuses of processes, and what a lab knows about them."""

from collections.abc import Iterable, Mapping

from sppr.controller.prompt.controllers import ProcessStatus
from sppr.controller.topology import graph
from sppr.controller.topology.rates import Flow

Patches = list[tuple[str, str]]


def host(number: int, patches: Patches, more: Iterable[str] = (), *, running: bool = True) -> ProcessStatus:
    """Return the primary (0) or a secondary. ``more``: ports without a patch."""
    ports = list(dict.fromkeys([*(port for patch in patches for port in patch), *more]))
    status = {
        "status": "running" if running else "idling",
        "ports": ports,
        "patches": [{"src": src, "dst": dst} for src, dst in patches],
        "lcores": [1, 2],
        "master-lcore": 1,
    }
    return ProcessStatus("nfv", number, status) if number else ProcessStatus("primary", 0, {"forwarder": status})


def guest(number: int, patches: Patches, more: Iterable[str] = ()) -> ProcessStatus:
    """Return the spp_vm of a VM."""
    found = host(number, patches, more)
    found.status.update({"lcores": [0], "master-lcore": 0})
    return found


def both(*patches: tuple[str, str]) -> Patches:
    """Return the patches in both directions."""
    return [pair for src, dst in patches for pair in ((src, dst), (dst, src))]


RING, PHY = both(("ring:0", "ring:1")), both(("phy:0", "phy:1"))
#: A chain through one VM.
SMALL = [
    host(0, [], ["tap:0", "tap:1"]),
    host(1, both(("tap:0", "ivshmem:6"), ("ivshmem:106", "tap:1"))),
    guest(6, RING),
]
#: Two chains in parallel, through two VMs and three secondaries each.
EIGHT = [
    host(0, both(("phy:0", "ring:0")), ["phy:1", "tap:0", "tap:1"]),
    host(1, both(("tap:0", "ivshmem:6"), ("ring:0", "ivshmem:7"))),
    host(2, both(("ivshmem:106", "vhost:11"), ("ivshmem:107", "vhost:12"))),
    host(3, both(("vhost:111", "tap:1"), ("vhost:112", "phy:1")), ["ring:5"]),
    guest(6, RING),
    guest(7, RING),
    guest(11, PHY),
    guest(12, PHY),
]
#: 16 parts: three chains, one of them through three secondaries by rings; an idle process; ports without a patch.
SIXTEEN = [
    host(0, [*both(("phy:0", "ring:0")), ("pcap:0", "nullpmd:0")], ["phy:1", "tap:0", "tap:1", "tap:2", "ring:9"]),
    host(1, both(("tap:0", "ivshmem:6"), ("ring:0", "ring:1"))),
    host(2, both(("ivshmem:106", "vhost:11"), ("ring:1", "ring:2"), ("vhost:111", "ivshmem:7"))),
    host(3, both(("ivshmem:107", "tap:1"), ("ring:2", "phy:1"), ("tap:2", "ivshmem:8")), ["vhost:30"]),
    host(4, [*both(("ivshmem:108", "vhost:12")), ("vhost:112", "tap:3"), ("memif:0", "memif:1")], ["ivshmem:9"]),
    host(5, [*both(("vhost:14", "vhost:15")), ("vhost:114", "vhost:115")], ["ring:7"], running=False),
    *(guest(number, RING) for number in (6, 7, 8)),
    guest(9, [("ring:0", "ring:0")]),
    guest(10, [], ["ring:0"]),
    *(guest(number, PHY) for number in (11, 12)),
    guest(13, [("phy:0", "phy:0")]),
    *(guest(number, PHY) for number in (14, 15)),
]
#: Four secondaries in a ring.
RINGS = [host(n, [(f"ring:{n - 1}", f"ring:{n % 4}")]) for n in (1, 2, 3, 4)]
_PARTS = [
    {"type": "merge", "rx_port": [{"port": f"ring:{n}"} for n in (1, 2, 3)], "tx_port": [{"port": "phy:1"}]},
    {"type": "classifier", "rx_port": [{"port": "phy:0"}], "tx_port": [{"port": f"ring:{n}"} for n in (11, 12, 13)]},
]
#: A classifier and a merge in one process, a pcap, and hostile names.
STAR = [
    ProcessStatus("vf", 5, {"components": _PARTS}),
    ProcessStatus("pcap", 7, {"status": "running", "core": [{"role": "receive", "rx_port": [{"port": "phy:0"}]}]}),
    *(host(n, [(f"ring:{n + 10}", f"ring:{n}")]) for n in (1, 2, 3)),
    host(9, [("<x>&\"':1", "a-name-that-is-much-too-long:123456")]),
]
#: One long chain through three secondaries.
LONG = [host(k, both(*((f"ring:{n}", f"ring:{n + 1}") for n in range(k - 1, 30, 3)))) for k in (1, 2, 3)]
NETWORKS = {"small": SMALL, "eight": EIGHT, "sixteen": SIXTEEN, "rings": RINGS, "star": STAR, "long": LONG}
#: The networks that can be drawn without a crossing.
PLANAR = {name: NETWORKS[name] for name in ("small", "eight", "sixteen", "rings", "long")}


def details(flows: Mapping[tuple[str, str, str], Flow] | None = None) -> graph.Details:
    """Return the chain of the patches of SMALL and EIGHT that belong to ``web``, and names of parts."""
    path = [
        ("nfv:1", "tap:0", "ivshmem:6"),
        ("nfv:6", "ring:0", "ring:1"),
        ("nfv:2", "ivshmem:106", "vhost:11"),
        ("nfv:11", "phy:0", "phy:1"),
        ("nfv:3", "vhost:111", "tap:1"),
        ("nfv:1", "ivshmem:106", "tap:1"),
    ]
    chains = dict.fromkeys(path, ("web", False)) | {(p, dst, src): ("web", True) for p, src, dst in path}
    names = {"primary": "pri", "nfv:1": "sec1", "nfv:2": "sec2", "nfv:6": "vm_r6", "nfv:11": "vm_v11"}
    return graph.Details(flows or {}, chains, names, ("web",))
