"""A synchronous client of the controller's REST API, over its unix socket, with the standard library only.

spp-ctl has no unix socket; its address is ``host:port``.

>>> control = ControlClient(run_dir / "ctl.sock")
>>> control.add_port("nfv:1", "ring:0")
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlencode

from sppr.errors import ControlError
from sppr.spp import http_call, match
from sppr.spp.names import parse_target

#: An entry of ``processes()``. The primary has no client-id.
Process = TypedDict("Process", {"type": str, "client-id": int}, total=False)
#: Address of a controller: the path of its unix socket, or ``host:port``. For the processes of several hosts, such as
#: ``east/nfv:1``: the folder that has a socket ``east.sock`` for each host.
Address = str | Path
_COLLECTIONS = {"nfv": "nfvs", "vf": "vfs", "mirror": "mirrors", "pcap": "pcaps"}
#: Errors for an unknown call: from spp-ctl, and from the REST server of spp.py.
_NO_SUCH_CALL = ("Not found", "has no such call")
_HINTS = {
    400: "the process or the controller refused the command; see the status of the process",
    404: "the process is not connected; see sppr status and its tmux window",
    504: "the process does not respond; see its tmux window",
}


class ProcessNotConnected(ControlError):
    """The process of a call is not connected to the controller (status 404)."""


class ControlClient:
    """A client of one controller. Each call is one request of at most ``timeout`` seconds.

    ``target`` is ``primary`` or a secondary such as ``nfv:3``; ``uid`` is a port such as ``ring:0``. Calls raise
    ControlError with the request and the response.
    """

    def __init__(self, address: Address, timeout: float = 5.0) -> None:
        self._address = str(address)
        self._timeout = timeout

    def alive(self) -> bool:
        """Return whether a controller responds."""
        try:
            self.controller()
        except ControlError:
            return False
        return True

    def controller(self) -> dict[str, Any]:
        """Return properties of the controller: ``{"pid", "host", "pri_port", "sec_port", "version"}``."""
        return self._object("GET", "/controller")

    def processes(self) -> list[Process]:
        """Return the processes that respond now: ``[{"type": "primary"}, {"type": "nfv", "client-id": 1}]``."""
        found = self._call("GET", "/processes")
        if not isinstance(found, list):
            raise ControlError(
                f"GET /v1/processes on {self._address}: not a list: {found!r}",
                hint="is it a controller of sppr or SPP?",
            )
        return found

    def primary_status(self) -> dict[str, Any]:
        """Return the status of the primary."""
        return self._object("GET", "/primary/status")

    def nfv_status(self, client_id: int) -> dict[str, Any]:
        """Return the status of an nfv."""
        return self._object("GET", f"/nfvs/{client_id}")

    def clear(self) -> None:
        """Reset the counters of the primary."""
        self._call("DELETE", "/primary/status")

    def status(self, target: str) -> dict[str, Any]:
        """Return the status of a process of any type: ``primary``, ``nfv:1``, ``vf:3``."""
        is_primary = is_primary_target(target)
        return self._object("GET", f"{_resource(target)}/status" if is_primary else _resource(target))

    def ports(self, target: str) -> list[str]:
        """Return the ports of a process that can forward. The status of the primary has them in its part
        ``forwarder``."""
        found = self.status(target)
        return list((found.get("forwarder", {}) if is_primary_target(target) else found).get("ports", []))

    def add_port_verified(self, target: str, uid: str) -> None:
        """Add a port, then check that the status lists it: spp-ctl reports 204 even if the process failed to add it."""
        self.add_port(target, uid)
        if uid not in self.ports(target):
            what = f"{target}: no error when {uid} was added, but its status does not list the port"
            raise ControlError(
                what, hint="see its tmux window; one possible reason is a leftover file at the path of the socket"
            )

    def add_port(self, target: str, uid: str) -> None:
        """Add a port to a process."""
        self._call("PUT", f"{_resource(target)}/ports", {"action": "add", "port": uid})

    def del_port(self, target: str, uid: str) -> None:
        """Delete a port of a process."""
        self._call("PUT", f"{_resource(target)}/ports", {"action": "del", "port": uid})

    def patch(self, target: str, source: str, dst: str) -> None:
        """Patch ``source`` to ``dst``, in this direction only. A source may have a match: ``tap:0 vlan=100``."""
        port, words = match.split(source)
        self._call(
            "PUT", f"{_resource(target)}/patches", {"src": port, "dst": dst, **({"match": words} if words else {})}
        )

    def impair(self, target: str, source: str, words: str) -> None:
        """Set the impairment of the patch from ``source``: ``delay=20ms loss=0.5%``, or ``off``."""
        port, found = match.split(source)
        body = {"src": port, "match": found or match.DEFAULT, "impair": words}
        self._call("PUT", f"{_resource(target)}/impairments", body)

    def disconnect(self, target: str, source: str) -> None:
        """Remove the patch from ``source``: the patch with its match, or without one the patch that has none.

        SPP's own controllers have no such call. With them, all patches of the process are reset and the others created
        again.
        """
        try:
            port, words = match.split(source)
            query = urlencode({"match": words or match.DEFAULT})
            self._call("DELETE", f"{_resource(target)}/patches/{port}?{query}")
        except ControlError as e:
            if not _is_unknown_call(e.what):
                raise
            self._disconnect_by_reset(target, source)

    def _disconnect_by_reset(self, target: str, src: str) -> None:
        status = self.status(target)
        status = status.get("forwarder", {}) if is_primary_target(target) else status
        patches = [tuple(patch[end].replace(" ", "") for end in ("src", "dst")) for patch in status.get("patches", [])]
        self.reset_patches(target)
        for other, dst in patches:
            if other != src:
                self.patch(target, other, dst)
        if status.get("status") == "running":
            self.forward(target)

    def reset_patches(self, target: str) -> None:
        """Remove all patches of a process."""
        self._call("DELETE", f"{_resource(target)}/patches")

    def probe(self, target: str, number: int, action: str, **words: object) -> None:
        """Start or stop the source of a probe, or reset its sink (action ``expect``). ``words``: see
        docs/dataplane.md."""
        self._call("PUT", f"{_resource(target)}/probes/{number}", {"action": action, **words})

    def probe_result(self, target: str, number: int) -> dict[str, Any]:
        """Return the counters of a probe: ``{"port", "source": {"sent", ...}, "sink": {"received", ...}}``."""
        return self._object("GET", f"{_resource(target)}/probes/{number}")

    def probe_histogram(self, target: str, number: int) -> list[tuple[int, int]]:
        """Return the latencies that a probe measured, as (lowest ns of a bucket, number of frames)."""
        found = self._object("GET", f"{_resource(target)}/probes/{number}/histogram")["histogram"]
        return [(int(low), int(count)) for low, count in found]

    def capture_guest(self, target: str, action: str, **words: object) -> dict[str, Any]:
        """Start, read or stop the captures of a guest. ``words``: port, side and snaplen of ``start``."""
        found = self._call("PUT", f"{_resource(target)}/guest_capture", {"action": action, **words})
        return found if isinstance(found, dict) else {}

    def forward(self, target: str) -> None:
        """Start forwarding."""
        self._call("PUT", f"{_resource(target)}/forward", {"action": "start"})

    def stop(self, target: str) -> None:
        """Stop forwarding."""
        self._call("PUT", f"{_resource(target)}/forward", {"action": "stop"})

    def exit(self, target: str, *, keep: bool = True) -> None:
        """Make the process exit. ``keep``: the controller restores its ports and patches when the process starts
        again."""
        self._call("DELETE", _resource(target) + "?keep=1" * keep)

    def _object(self, method: str, path: str) -> dict[str, Any]:
        found = self._call(method, path)
        if not isinstance(found, dict):
            raise ControlError(
                f"{method} /v1{path} on {self._address}: not an object: {found!r}",
                hint="is it a controller of sppr or SPP?",
            )
        return found

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
        host, slash, rest = path.partition("/")
        path, address = f"{slash}{rest}", f"{self._address}/{host}.sock" if host else self._address
        request = f"{method} /v1{path}" + (f" {json.dumps(body)}" if body else "")
        try:
            text = json.dumps(body) if body else ""
            status, raw = http_call.call(address, self._timeout, method, f"/v1{path}", text)
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            hint = "sppr status; start it: arrow-up in its window, or runscripts/controller.py"
            raise ControlError(f"the controller does not answer: {why} ({address}: {request})", hint=hint) from error
        if status >= 300:
            text = raw.decode("utf-8", "replace").strip()
            hint = _HINTS.get(status, "see the tmux window of the controller")
            kind = ProcessNotConnected if status == 404 and not _is_unknown_call(text) else ControlError
            raise kind(f"{request}: {text} (status {status})", hint=hint)
        return _parse(raw, request)


def _is_unknown_call(text: str) -> bool:
    """Return whether the text of an error says that the controller does not have the call."""
    return any(part in text for part in _NO_SUCH_CALL)


def is_primary_target(target: str) -> bool:
    """Return whether a process is a primary: ``primary``, ``east/primary``."""
    return target.rpartition("/")[2] == "primary"


def _resource(target: str) -> str:
    """Return the path of a process in REST. In front of it is its host, if it has one."""
    host, _, target = target.rpartition("/")
    kind, _, number = target.partition(":")
    try:
        found = parse_target(f"nfv:{number}" if kind in _COLLECTIONS else target)
    except ValueError as error:
        raise ControlError(str(error), hint="targets are primary, nfv:1, nfv:2, ...") from None
    if found.kind == "primary":
        return f"{host}/primary"
    return f"{host}/{_COLLECTIONS.get(kind, 'nfvs')}/{found.client_id}"


def _parse(raw: bytes, request: str) -> object:
    try:
        return json.loads(raw) if raw else None
    except ValueError as error:
        raise ControlError(
            f"{request}: the response is not JSON: {error}", hint="is it a controller of sppr or SPP?"
        ) from None
