"""REST v1 as one table: method, path, body, and the function to call (docs/spp-protocol.md, REST).

The HTTP server, the prompt and the OpenAPI document use this table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sppr.controller import components, primary
from sppr.controller.errors import BadValue, NotConnected
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.rest import bodies
from sppr.spp.names import PRIMARY, Target


@dataclass(frozen=True)
class Call:
    """One call: the process it is for, its path parameters, its validated body, and its query."""

    panel: PatchPanel
    target: Target = PRIMARY
    path: dict[str, str] = field(default_factory=dict)
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One entry of the table.

    ``handler``: its result is the JSON of a 200 if ``returns_json``; otherwise the answer is a 204. ``kind``: the kind
    of process that ``{id}`` names.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Any]]
    summary: str
    body: type[bodies.Body] | None = None
    returns_json: bool = False
    kind: str = "primary"


async def _processes(call: Call) -> Any:
    return await call.panel.processes()


async def _cpu_layout(_call: Call) -> Any:
    return primary.cpu_layout()


async def _cpu_usage(call: Call) -> Any:
    found = []
    for process in await call.panel.processes():
        kind = process["type"]
        head: dict[str, object] = {"proc-type": kind}
        target = PRIMARY
        if "client-id" in process:
            head["client-id"] = process["client-id"]
            target = Target("sec", process["client-id"])
        try:
            status = components.rest_form(call.panel.process(target).status, kind)
        except NotConnected:
            continue  # it disconnected meanwhile
        found.append(head | primary.lcore_usage(kind, status))
    return found


async def _status(call: Call) -> Any:
    return components.rest_form(await call.panel.status(call.target), call.target.kind)


async def _clear(call: Call) -> None:
    await call.panel.clear(call.target)


async def _forward(call: Call) -> None:
    await call.panel.forward(call.target, start=call.body.action == "start")


async def _ports(call: Call) -> None:
    if call.body.action == "del":
        await call.panel.delete(call.target, call.body.port)
    else:
        rings = [getattr(call.body, end, None) for end in ("rx", "tx")]
        await call.panel.add(call.target, call.body.port, [ring for ring in rings if ring is not None])


async def _patch(call: Call) -> None:
    await call.panel.patch(call.target, call.body.src, call.body.dst, call.body.match or "")


async def _impair(call: Call) -> None:
    await call.panel.impair(call.target, call.body.src, call.body.match, call.body.impair)


async def _reset(call: Call) -> None:
    await call.panel.reset(call.target)


async def _disconnect(call: Call) -> None:
    await call.panel.disconnect(call.target, call.path["src"], call.query.get("match", ""))


async def _probe(call: Call) -> None:
    options = call.body.model_dump()
    await call.panel.probe(call.target, int(call.path["probe"]), options.pop("action"), options)


async def _probe_result(call: Call) -> Any:
    return await call.panel.probe_result(call.target, int(call.path["probe"]))


async def _probe_histogram(call: Call) -> Any:
    return await call.panel.probe_result(call.target, int(call.path["probe"]), "histogram")


async def _capture_guest(call: Call) -> Any:
    b = call.body
    given = [b.port, b.side, b.snaplen]
    if any((value is None) == (b.action == "start") for value in given):
        raise BadValue(f"{b.action} takes {'port, side and snaplen' if b.action == 'start' else 'no other key'}")
    return await call.panel.capture_guest(call.target, b.action, *(str(value) for value in given if value is not None))


async def _exit(call: Call) -> None:
    await call.panel.exit(call.target, keep=call.query.get("keep") == "1")


async def _launch(call: Call) -> None:
    b = call.body
    await primary.launch(call.panel, b.client_id, b.proc_name, b.eal, b.app)


def _rule(verb: str) -> Callable[[Call], Awaitable[Any]]:
    async def handler(call: Call) -> Any:
        return await primary.create_rule(call.panel, int(call.path["port"]), call.body.rule.model_dump(), verb)

    return handler


async def _destroy(call: Call) -> Any:
    return await primary.destroy_rule(call.panel, int(call.path["port"]), call.path.get("rule", "ALL"))


async def _start_component(call: Call) -> None:
    await components.start(call.panel, call.target, call.body.name, call.body.core, call.body.type)


async def _stop_component(call: Call) -> None:
    await components.stop(call.panel, call.target, call.path["name"])


async def _change_port(call: Call) -> None:
    b = call.body
    vlan = b.vlan.model_dump() if getattr(b, "vlan", None) is not None else {}
    if vlan.get("operation") == "add" and None in (vlan["id"], vlan["pcp"]):
        raise BadValue(f"key(vlan.{'id' if vlan['id'] is None else 'pcp'}) required.")
    await components.change_port(call.panel, call.target, b.action, b.port, b.dir, call.path["name"], vlan)


async def _classify(call: Call) -> None:
    b = call.body
    if b.type == "vlan" and b.vlan is None:
        raise BadValue("key(vlan) required.")
    vlan = b.vlan if b.type == "vlan" else None
    await components.classify(call.panel, call.target, b.action, b.mac_address, b.port, vlan)


async def _capture(call: Call) -> None:
    await components.capture(call.panel, call.target, start=call.body.action == "start")


def _forwarder_routes(base: str, kind: str, port: type[bodies.Port]) -> list[Route]:
    """Return the calls that the primary and nfv have in common."""
    return [
        Route("PUT", f"{base}/forward", _forward, "start or stop forwarding", bodies.Action, kind=kind),
        Route("PUT", f"{base}/ports", _ports, "add or delete a port", port, kind=kind),
        Route("PUT", f"{base}/patches", _patch, "patch one port to another, one way", bodies.Patch, kind=kind),
        Route("PUT", f"{base}/impairments", _impair, "impair a patch", bodies.Impairment, kind=kind),
        Route("DELETE", f"{base}/patches", _reset, "remove every patch", kind=kind),
        Route("DELETE", f"{base}/patches/{{src}}", _disconnect, "remove the patches from one port", kind=kind),
        Route(
            "PUT",
            f"{base}/probes/{{probe}}",
            _probe,
            "start or stop a probe, or reset its sink",
            bodies.Probe,
            kind=kind,
        ),
        Route("GET", f"{base}/probes/{{probe}}", _probe_result, "counters of a probe", returns_json=True, kind=kind),
        Route(
            "GET",
            f"{base}/probes/{{probe}}/histogram",
            _probe_histogram,
            "latencies of a probe",
            returns_json=True,
            kind=kind,
        ),
        Route("DELETE", base, _exit, "stop the process", kind=kind),
    ]


def _component_routes(base: str, kind: str, component: type[bodies.Body], port: type[bodies.Body]) -> list[Route]:
    """Return the calls that vf and mirror have in common."""
    return [
        Route("GET", base, _status, "ports and components of the process", returns_json=True, kind=kind),
        Route("DELETE", base, _exit, "stop the process", kind=kind),
        Route("POST", f"{base}/components", _start_component, "start a component", component, kind=kind),
        Route("DELETE", f"{base}/components/{{name}}", _stop_component, "stop a component", kind=kind),
        Route("PUT", f"{base}/components/{{name}}/ports", _change_port, "attach or detach a port", port, kind=kind),
    ]


_FLOWS = "/primary/flow_rules"
ROUTES = [
    Route("GET", "/processes", _processes, "every process that answers now", returns_json=True),
    Route("GET", "/cpu_layout", _cpu_layout, "sockets, cores and lcores of this machine", returns_json=True),
    Route("GET", "/cpu_usage", _cpu_usage, "lcores of every process", returns_json=True),
    Route("GET", "/primary/status", _status, "lcores, forwarder, counters", returns_json=True),
    Route("DELETE", "/primary/status", _clear, "reset the counters"),
    *_forwarder_routes("/primary", "primary", bodies.PrimaryPort),
    Route("PUT", "/primary/launch", _launch, "start a secondary", bodies.Launch),
    Route(
        "POST", f"{_FLOWS}/port_id/{{port}}/validate", _rule("validate"), "validate a flow rule", bodies.FlowRule, True
    ),
    Route("POST", f"{_FLOWS}/port_id/{{port}}", _rule("create"), "create a flow rule", bodies.FlowRule, True),
    Route("DELETE", f"{_FLOWS}/port_id/{{port}}", _destroy, "destroy every flow rule of a NIC", returns_json=True),
    Route("DELETE", f"{_FLOWS}/{{rule}}/port_id/{{port}}", _destroy, "destroy a flow rule", returns_json=True),
    Route("GET", "/nfvs/{id}", _status, "state, ports and patches", returns_json=True, kind="nfv"),
    *_forwarder_routes("/nfvs/{id}", "nfv", bodies.Port),
    Route(
        "PUT", "/nfvs/{id}/guest_capture", _capture_guest, "capture in a guest", bodies.GuestCapture, True, kind="nfv"
    ),
    *_component_routes("/vfs/{id}", "vf", bodies.Component, bodies.VfPort),
    Route(
        "PUT",
        "/vfs/{id}/classifier_table",
        _classify,
        "add or delete an entry of the classifier table",
        bodies.Classifier,
        kind="vf",
    ),
    *_component_routes("/mirrors/{id}", "mirror", bodies.MirrorComponent, bodies.ComponentPort),
    Route("GET", "/pcaps/{id}", _status, "state, lcores and files", returns_json=True, kind="pcap"),
    Route("PUT", "/pcaps/{id}/capture", _capture, "start or stop capturing", bodies.Action, kind="pcap"),
    Route("DELETE", "/pcaps/{id}", _exit, "stop the process", kind="pcap"),
]
#: The pattern of each part in braces.
PATH_PATTERNS = {
    "id": r"\d{1,9}",
    "port": r"\d{1,3}",
    "rule": r"\d{1,9}",
    "name": components.NAME,
    "probe": r"\d{1,2}",
    "src": r"[a-z]{1,10}:[0-9nq]{1,10}",
}
