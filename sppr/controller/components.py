"""The commands of vf, mirror and pcap: components, their ports, MAC addresses, captures.

(docs/spp-protocol.md, Components)
"""

import asyncio
import contextlib
from collections.abc import Mapping

from sppr.controller import verify
from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.patch_panel import PatchPanel, no_effect
from sppr.controller.server.process import ConnectedProcess
from sppr.spp import names
from sppr.spp.names import Target

#: The port types of components of upstream SPP. Those of our own data plane have all types.
PORT_TYPES = ("phy", "vhost", "ring")
#: Seconds to wait before each check of the status. The lcores of a process apply a change one after another.
SETTLE_DELAYS = (0.0, 0.1, 0.4)
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,30}"
MAC = r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"


async def start(panel: PatchPanel, target: Target, name: str, core: int, kind: str) -> None:
    """Start a component. Up to 18.08.3 the type ``classifier`` is called ``classifier_mac``."""
    old_name = kind == "classifier" and panel.process(target).needs_flush
    try:
        await _change(panel, target, f"component start {name} {core} {'classifier_mac' if old_name else kind}")
    except Refused as error:
        if old_name or kind != "classifier" or "component type" not in error.what:
            raise
        await _change(panel, target, f"component start {name} {core} classifier_mac")


async def stop(panel: PatchPanel, target: Target, name: str) -> None:
    """Stop a component."""
    await _change(panel, target, f"component stop {name}")


async def change_port(
    panel: PatchPanel,
    target: Target,
    action: str,
    uid: str,
    direction: str,
    name: str,
    vlan: Mapping[str, object] | None = None,
) -> None:
    """Attach a port to a component, or detach it.

    ``action``: attach or detach. ``direction``: rx or tx. ``vlan``, for vf only: ``{"operation", "id", "pcp"}``.
    """
    uid = _port(panel, target, uid)
    words = ["port", "add" if action == "attach" else "del", uid, direction, name]
    operation = (vlan or {}).get("operation", "none")
    if operation == "add" and action == "attach" and vlan is not None:
        words += ["add_vlantag", str(vlan.get("id")), str(vlan.get("pcp"))]
    elif operation == "del" and action == "attach":
        words.append("del_vlantag")
    await _change(panel, target, " ".join(words))


async def classify(panel: PatchPanel, target: Target, action: str, mac: str, uid: str, vlan: int | None = None) -> None:
    """Add or delete an entry of the classifier table: frames to ``mac`` (or ``default``), and of ``vlan`` if given,
    leave by ``uid``.
    """
    uid = _port(panel, target, uid)
    kind = ["mac"] if vlan is None else ["vlan", str(vlan)]
    await _change(panel, target, " ".join(["classifier_table", action, *kind, mac, uid]))


async def capture(panel: PatchPanel, target: Target, *, start: bool) -> None:
    """Start or stop a capture."""
    await _change(panel, target, "start" if start else "stop")


async def _change(panel: PatchPanel, target: Target, command: str) -> None:
    """Send a change, and compare the status with it afterwards.

    vf up to 18.05 applies a change only at ``flush``, and drops it at ``cancel``.
    """
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
    """Raise Refused if the process answered success and its status still shows something else after
    ``SETTLE_DELAYS``.
    """
    for delay in SETTLE_DELAYS:
        await asyncio.sleep(delay)
        result = verify.component_difference(rest_form(await panel.status(target), target.kind), command)
        if result is None:
            return
    raise no_effect(process, f"`{command}`", str(result))


def _port(panel: PatchPanel, target: Target, uid: str) -> str:
    """Return the port as the process knows it. Raise BadValue for a type that a component of it does not have."""
    if uid.partition(":")[0] not in PORT_TYPES and not panel.process(target).is_sppr:
        raise BadValue(f"{uid}: a component has only ports of {', '.join(PORT_TYPES)}", hint="port add ring:0 rx NAME")
    return panel.port_of_nic(target, uid)


def rest_form(status: Mapping[str, object], kind: str) -> dict[str, object]:
    """Return a status in the form of REST: of pcap its ``info``, of vf and mirror the reshaped ``info``
    (docs/spp-protocol.md, REST).
    """
    info = status.get("info")
    if not isinstance(info, dict):
        return dict(status)
    if kind == "pcap":
        return info
    types = dict.fromkeys((*PORT_TYPES, *names.PORT_TYPES))
    ports = [f"{name}:{n}" for name in types if isinstance(info.get(name), list) for n in info[name]]
    result: dict[str, object] = {"client-id": info.get("client-id"), "ports": ports}
    if "counters" in info:
        result["counters"] = info["counters"]
    if "master-lcore" in info:
        result["master-lcore"] = info["master-lcore"]
    result["components"] = info.get("core", [])
    if kind == "vf":
        result["classifier_table"] = info.get("classifier_table", [])
    return result
