"""Status objects as text for people, in the form of SPP's own prompt (spp-facts 6.1). Pure.

Processes are other people's programs: any key may be missing or of another type, and that must only cost its line.
"""

from collections.abc import Iterable, Mapping

from sppr.spp.names import printable

_PHY = (("ID", "id"), ("port", "port"), ("rx", "rx"), ("tx", "tx"), ("tx_drop", "tx_drop"), ("mac_addr", "eth"))
_RING = (("ID", "id"), ("rx", "rx"), ("tx", "tx"), ("rx_drop", "rx_drop"), ("tx_drop", "tx_drop"))
_PIPE = (("ID", "id"), ("rx", "rx"), ("tx", "tx"))


def panel_status(address: str, primary: bool, secondaries: Iterable[tuple[str, str]]) -> list[str]:
    """The whole panel. ``secondaries``: name as ``nfv:1``, and state, which may be empty."""
    lines = ["- controller:", f"  - address: {address}", "- primary:"]
    lines.append(f"  - status: {'running' if primary else 'not running'}")
    lines += ["- secondary:", "  - processes:"]
    return lines + [f"    {n}: {name} {state}".rstrip() for n, (name, state) in enumerate(secondaries, 1)]


def nfv_status(status: Mapping[str, object]) -> list[str]:
    """State, lcores, ports; a patched port as ``phy:0 -> ring:0``."""
    return [f"- status: {_text(status.get('status', 'unknown'))}", *_lcores(status), "- ports:", *_ports(status, "  ")]


def primary_status(status: Mapping[str, object]) -> list[str]:
    """Lcores, the forwarder where it runs, counters of NICs and rings; classic SPP gives its one sentence."""
    lines = _lcores(status)
    if "status" in status:
        lines.insert(0, f"- status: {_text(status['status'])}")
    forwarder = status.get("forwarder")
    if isinstance(forwarder, dict):
        lines += ["- forwarder:", f"  - status: {_text(forwarder.get('status', 'unknown'))}", "  - ports:"]
        lines += _ports(forwarder, "    ")
    for title, key, columns in (
        ("physical", "phy_ports", _PHY),
        ("ring", "ring_ports", _RING),
        ("pipe", "pipes", _PIPE),
    ):
        lines += _table(f"- {title} ports:", _dicts(status.get(key)), columns)
    return lines


def state_of(status: Mapping[str, object]) -> str:
    """``idling`` or ``running``; a primary's is its forwarder's, pcap's below ``info`` (spp-facts 3.8), vf has none."""
    info = status.get("forwarder", status.get("info"))
    inner = info.get("status", "") if isinstance(info, dict) else ""
    return _text(status.get("status", inner))


def ports_of(status: Mapping[str, object]) -> list[str]:
    """The ports of a process as its status lists them; several queues as ``phy:0nq1``, as they are typed."""
    forwarder = status.get("forwarder")
    ports = (forwarder if isinstance(forwarder, dict) else status).get("ports")
    return [_text(port).replace(" ", "") for port in ports] if isinstance(ports, list) else []


def _lcores(status: Mapping[str, object]) -> list[str]:
    lcores = status.get("lcores")
    if not isinstance(lcores, list):
        return []
    master = status.get("master-lcore")
    workers = ", ".join(_text(lcore) for lcore in lcores if lcore != master)
    return ["- lcores:", f"  - master: {_text(master)}", f"  - workers: [{workers}]"]


def _ports(status: Mapping[str, object], indent: str) -> list[str]:
    patches = {_text(patch.get("src")): _text(patch.get("dst")) for patch in _dicts(status.get("patches"))}
    ports = status.get("ports")
    names = [_text(port) for port in ports] if isinstance(ports, list) else []
    return [f"{indent}- {name} -> {patches[name]}" if name in patches else f"{indent}- {name}" for name in names]


def _table(title: str, rows: list[dict[str, object]], columns: Iterable[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    columns = [column for column in columns if any(column[1] in row for row in rows)]  # "port" is only told by ours
    cells = [[heading for heading, _ in columns]]
    cells += [[_text(row.get(key, "")) for _, key in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [title, *("    " + "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)]


def _dicts(value: object) -> list[dict[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return printable(str(value), 60)
