"""The commands of the primary: start secondaries, and configure flow rules of its NICs (docs/spp-protocol.md, Launch,
Flow rules). Also the lcores of the machine, and which process uses them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sppr.controller import launch as launches
from sppr.controller.errors import Refused
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.server.reply import Reply
from sppr.spp.names import PRIMARY

#: A pattern item or an action of a flow rule, such as ``eth dst is 0a:00:00:00:00:01``.
RULE = r"[A-Za-z0-9_.:-]+( [A-Za-z0-9_.:-]+)*"


async def launch(
    panel: PatchPanel, client_id: int, program: str, eal: Mapping[str, object], app: Mapping[str, object]
) -> None:
    """Ask the primary to start a secondary. ``launch.command`` lists the permitted options."""
    await _send(panel, launches.command(panel.lab, client_id, program, eal, app))


async def create_rule(panel: PatchPanel, port: int, rule: Mapping[str, object], verb: str) -> dict[str, object]:
    """Create or validate a flow rule, and return the reply. ``verb``: validate or create. ``rule``: the validated body
    of the REST call.
    """
    words = ["flow", verb, f"phy:{port}"]
    words += [f"{key} {rule[key]}" for key in ("group", "priority") if rule.get(key) is not None]
    words += ["transfer"] if rule.get("transfer") else []
    words.append(str(rule["direction"]))
    return await _flow(panel, " ".join([*words, *_items("pattern", rule), *_items("actions", rule)]))


def _items(title: str, rule: Mapping[str, object]) -> list[str]:
    items = rule[title]
    assert isinstance(items, Sequence)
    return [title, *(f"{item} /" for item in items), "end"]


async def destroy_rule(panel: PatchPanel, port: int, rule: str) -> dict[str, object]:
    """Destroy a flow rule, and return the reply. ``rule``: its number, or ``ALL``."""
    return await _flow(panel, f"flow destroy phy:{port} {rule}")


async def _flow(panel: PatchPanel, command: str) -> dict[str, object]:
    reply = await _send(panel, command)
    return reply.data or {"result": "success", "message": reply.text}


async def _send(panel: PatchPanel, command: str) -> Reply:
    reply = await panel.ask(PRIMARY, command)
    if reply.echo or reply.data is None:
        raise Refused(f"the primary has no command `{command.split()[0]}`", hint="it belongs to an older SPP release")
    return reply


def lcore_usage(kind: str, status: Mapping[str, object]) -> dict[str, object]:
    """Return ``{"master-lcore", "lcores"}`` of a process. ``status``: its status in the form of REST."""
    master, lcores = status.get("master-lcore"), status.get("lcores")
    if kind not in ("primary", "nfv", "vm"):
        entries = status.get("components", status.get("core"))
        component_lcores = [e.get("core") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        lcores = sorted({n for n in (master, *component_lcores) if isinstance(n, int)})
    result: dict[str, object] = {"lcores": lcores if isinstance(lcores, list) else []}
    return result if master is None else {"master-lcore": master, **result}


def cpu_layout(sysfs: Path = Path("/sys/devices/system/cpu")) -> list[dict[str, object]]:
    """Return ``[{"socket_id": 0, "cores": [{"core_id": 0, "lcores": [0, 8]}]}]`` of this machine."""
    sockets: dict[int, dict[int, list[int]]] = {}
    for topology in sysfs.glob("cpu[0-9]*/topology"):
        try:
            package, core = (int((topology / name).read_text()) for name in ("physical_package_id", "core_id"))
        except (OSError, ValueError):
            continue
        lcore = int(topology.parent.name.removeprefix("cpu"))
        sockets.setdefault(max(package, 0), {}).setdefault(core, []).append(lcore)
    return [
        {"socket_id": s, "cores": [{"core_id": c, "lcores": sorted(cores[c])} for c in sorted(cores)]}
        for s, cores in sorted(sockets.items())
    ]
