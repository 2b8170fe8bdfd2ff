"""What only vf, mirror and pcap can: components, their ports, MAC addresses, captures (spp-facts 3.3, 3.7, 3.8)."""

import asyncio
import contextlib
from collections.abc import Mapping

from sppr.controller import verify
from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.patch_panel import PatchPanel, no_effect
from sppr.controller.server.process import ConnectedProcess
from sppr.spp.names import Target

#: The only port types they know.
TYPES = ("phy", "vhost", "ring")
#: Seconds to wait before each look at the status: the lcores of a process take a change over one after another.
SETTLE = (0.0, 0.1, 0.4)
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,30}"
MAC = r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"


async def start(panel: PatchPanel, target: Target, name: str, core: int, kind: str) -> None:
    """Start a component. What is called ``classifier`` was ``classifier_mac`` until 18.08.3."""
    old = kind == "classifier" and panel.process(target).needs_flush
    try:
        await _change(panel, target, f"component start {name} {core} {'classifier_mac' if old else kind}")
    except Refused as error:
        if old or kind != "classifier" or "component type" not in error.what:
            raise
        await _change(panel, target, f"component start {name} {core} classifier_mac")


async def stop(panel: PatchPanel, target: Target, name: str) -> None:
    await _change(panel, target, f"component stop {name}")


async def port(
    panel: PatchPanel,
    target: Target,
    action: str,
    uid: str,
    way: str,
    name: str,
    vlan: Mapping[str, object] | None = None,
) -> None:
    """``action``: attach or detach; ``way``: rx or tx; ``vlan``, vf only: ``{"operation", "id", "pcp"}``."""
    _known(uid)
    words = ["port", "add" if action == "attach" else "del", uid, way, name]
    operation = (vlan or {}).get("operation", "none")
    if operation == "add" and action == "attach" and vlan is not None:
        words += ["add_vlantag", str(vlan.get("id")), str(vlan.get("pcp"))]
    elif operation == "del" and action == "attach":
        words.append("del_vlantag")
    await _change(panel, target, " ".join(words))


async def classify(panel: PatchPanel, target: Target, action: str, mac: str, uid: str, vlan: int | None = None) -> None:
    """Frames to ``mac`` (or ``default``), of ``vlan`` if one is given, leave by ``uid``; or no longer."""
    _known(uid)
    kind = ["mac"] if vlan is None else ["vlan", str(vlan)]
    await _change(panel, target, " ".join(["classifier_table", action, *kind, mac, uid]))


async def capture(panel: PatchPanel, target: Target, *, start: bool) -> None:
    await _change(panel, target, "start" if start else "stop")


async def _change(panel: PatchPanel, target: Target, command: str) -> None:
    """Send a change, and compare the status with it afterwards. vf up to 18.05 keeps a change back until ``flush`` and
    forgets it on ``cancel``."""
    process = panel.process(target)
    async with process.change_lock:
        try:
            await panel.ask(target, command)
            if process.needs_flush:
                await panel.ask(target, "flush")
        except Refused:
            if process.needs_flush:
                with contextlib.suppress(Refused, NotConnected, NoAnswer):
                    await panel.ask(target, "cancel")
            raise
        await _check_done(panel, target, process, command)


async def _check_done(panel: PatchPanel, target: Target, process: ConnectedProcess, command: str) -> None:
    """Refused where the process answered success and its status still shows something else after ``SETTLE``."""
    for pause in SETTLE:
        await asyncio.sleep(pause)
        found = verify.component_difference(rest_form(await panel.status(target), target.kind), command)
        if found is None:
            return
    raise no_effect(process, f"`{command}`", str(found))


def _known(uid: str) -> None:
    if uid.partition(":")[0] not in TYPES:
        raise BadValue(f"{uid}: components take {', '.join(TYPES)} only", hint="port add ring:0 rx NAME")


def rest_form(status: Mapping[str, object], kind: str) -> dict[str, object]:
    """A status in the form that REST gives (spp-facts 5): of pcap its ``info``, of vf and mirror that reshaped."""
    info = status.get("info")
    if not isinstance(info, dict):
        return dict(status)
    if kind == "pcap":
        return info
    ports = [f"{name}:{n}" for name in TYPES if isinstance(info.get(name), list) for n in info[name]]
    found: dict[str, object] = {"client-id": info.get("client-id"), "ports": ports}
    if "master-lcore" in info:
        found["master-lcore"] = info["master-lcore"]
    found["components"] = info.get("core", [])
    if kind == "vf":
        found["classifier_table"] = info.get("classifier_table", [])
    return found
