"""Format status objects as text, in the form of SPP's own prompt (docs/spp-protocol.md, Prompt). Pure.

A status comes from another program. Any key may be missing or of another type, and such a key affects only its own
line.
"""

from collections.abc import Iterable, Mapping

from sppr.spp.names import printable

_PHY = (("ID", "id"), ("port", "port"), ("rx", "rx"), ("tx", "tx"), ("tx_drop", "tx_drop"), ("mac_addr", "eth"))
_RING = (("ID", "id"), ("rx", "rx"), ("tx", "tx"), ("rx_drop", "rx_drop"), ("tx_drop", "tx_drop"))
_PIPE = (("ID", "id"), ("rx", "rx"), ("tx", "tx"))


def panel_status(address: str, primary: bool, secondaries: Iterable[tuple[str, str]]) -> list[str]:
    """Return the status of the whole panel. ``secondaries``: name such as ``nfv:1``, and state, which may be empty."""
    lines = ["- controller:", f"  - address: {address}", "- primary:"]
    lines.append(f"  - status: {'running' if primary else 'not running'}")
    lines += ["- secondary:", "  - processes:"]
    return lines + [f"    {n}: {name} {state}".rstrip() for n, (name, state) in enumerate(secondaries, 1)]


def nfv_status(status: Mapping[str, object]) -> list[str]:
    """Return state, lcores and ports of an nfv; a patched port as ``phy:0 -> ring:0``."""
    return [f"- status: {_text(status.get('status', 'unknown'))}", *_lcores(status), "- ports:", *_ports(status, "  ")]


def primary_status(status: Mapping[str, object]) -> list[str]:
    """Return the lcores, the forwarder if there is one, and the counters of NICs and rings. Classic SPP has one
    sentence only.
    """
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


def components(status: Mapping[str, object]) -> list[str]:
    """Return the ports, lcores, components and classifier table of a vf or mirror."""
    ports = status.get("ports")
    lines = ["- ports:", *(f"  - {_text(port)}" for port in (ports if isinstance(ports, list) else []))]
    if "master-lcore" in status:
        lines = ["- lcores:", f"  - master: {_text(status['master-lcore'])}", *lines]
    lines.append("- components:")
    for part in _dicts(status.get("components")):
        name = f'"{_text(part["name"])}" ' if "name" in part else ""
        lines.append(f"  - core:{_text(part.get('core'))}, {name}(type: {_text(part.get('type'))})")
        lines += [f"    - {w}: {_attached(port)}" for w in ("rx", "tx") for port in _dicts(part.get(f"{w}_port"))]
    table = _dicts(status.get("classifier_table"))
    lines += ["- classifier table:"] if table else []
    return lines + [f"  - {_text(e.get('type'))} {_text(e.get('value'))} -> {_text(e.get('port'))}" for e in table]


def _attached(port: Mapping[str, object]) -> str:
    vlan = port.get("vlan")
    if not isinstance(vlan, dict) or vlan.get("operation", "none") == "none":
        return _text(port.get("port"))
    return (
        f"{_text(port.get('port'))} (vlan {_text(vlan['operation'])} {_text(vlan.get('id'))} {_text(vlan.get('pcp'))})"
    )


def capture_status(status: Mapping[str, object]) -> list[str]:
    """Return the state of a pcap, and the role of each lcore."""
    lines = [f"- status: {_text(status.get('status', 'unknown'))}", "- lcores:"]
    lines += [f"  - master: {_text(status['master-lcore'])}"] if "master-lcore" in status else []
    for core in _dicts(status.get("core")):
        what = core.get("filename") or ", ".join(_text(port.get("port")) for port in _dicts(core.get("rx_port")))
        lines.append(f"  - core:{_text(core.get('core'))} {_text(core.get('role'))} {_text(what)}".rstrip())
    return lines


def status(kind: str, status_object: Mapping[str, object]) -> list[str]:
    """Return the status of a process of any kind. ``status_object``: in the form of REST."""
    if kind == "primary":
        return primary_status(status_object)
    return {"vf": components, "mirror": components, "pcap": capture_status}.get(kind, nfv_status)(status_object)


def flows(status_object: Mapping[str, object], port: int, rule: str) -> list[str]:
    """Return the flow rules of a NIC, or all details of one rule. ``status_object``: that of the primary."""
    rules = [r for p in _dicts(status_object.get("phy_ports")) if p.get("id") == port for r in _dicts(p.get("flow"))]
    if rule:
        return [_text(r) for r in rules if str(r.get("rule_id")) == rule] or [f"no rule {rule} on phy:{port}"]
    lines = [
        f"  {_text(r.get('rule_id'))}: {' / '.join(_text(i.get('type')) for i in _dicts(r.get('patterns')))}"
        f" => {' / '.join(_text(a.get('type')) for a in _dicts(r.get('actions')))}"
        for r in rules
    ]
    return [f"- flow rules of phy:{port}:", *(lines or ["  none"])]


def state_of(status: Mapping[str, object]) -> str:
    """Return ``idling`` or ``running``. A primary has it in its forwarder, a pcap below ``info``; a vf has none.

    (docs/spp-protocol.md, Components)
    """
    info = status.get("forwarder", status.get("info"))
    inner = info.get("status", "") if isinstance(info, dict) else ""
    return _text(status.get("status", inner))


def ports_of(status: Mapping[str, object]) -> list[str]:
    """Return the ports in the status of a process. A queue is written as in a command: ``phy:0nq1``."""
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
    patches: dict[str, list[str]] = {}
    for patch in _dicts(status.get("patches")):
        match = f" {_text(patch.get('match'))}" if "match" in patch else ""
        patches.setdefault(_text(patch.get("src")), []).append(f"{match} -> {_text(patch.get('dst'))}")
    ports = status.get("ports")
    names = [_text(port) for port in ports] if isinstance(ports, list) else []
    return [f"{indent}- {name}{patch}" for name in names for patch in patches.get(name, [""])]


def _table(title: str, rows: list[dict[str, object]], columns: Iterable[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    columns = [column for column in columns if any(column[1] in row for row in rows)]  # only sppr's status has "port"
    cells = [[heading for heading, _ in columns]]
    cells += [[_text(row.get(key, "")) for _, key in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [title, *("    " + "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)]


def _dicts(value: object) -> list[dict[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return printable(str(value), 120)
