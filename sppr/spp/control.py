"""The launcher's hand on the controller: REST over its unix socket, synchronous, standard library only.

spp-ctl has no socket: it is asked at ``host:port``.

>>> control = ControlClient(run_dir / "ctl.sock")
>>> control.add_port("nfv:1", "ring:0")
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from sppr.errors import ControlError
from sppr.spp import http_call
from sppr.spp.names import parse_target

#: One of ``processes()``; the primary has no client-id.
Process = TypedDict("Process", {"type": str, "client-id": int}, total=False)
#: Where a controller is asked: a unix socket, or ``host:port``.
Address = str | Path
_BASES = {"nfv": "nfvs", "vf": "vfs", "mirror": "mirrors", "pcap": "pcaps"}
#: What controllers say of a call that they do not have: spp-ctl, and the keeper of spp.py.
_NO_SUCH_CALL = ("Not found", "has no such call")
_HINTS = {
    400: "the process or the controller refuses it; look at the status of the target",
    404: "it is not connected: sppr status, and its own window, tell more",
    504: "the process hangs: see its own window",
}


class ControlClient:
    """Each call is one request of at most ``timeout`` seconds; ControlError says what was asked and what came back."""

    def __init__(self, address: Address, timeout: float = 5.0) -> None:
        self._path = str(address)
        self._timeout = timeout

    def alive(self) -> bool:
        """Whether a controller answers on the socket."""
        try:
            self.controller()
        except ControlError:
            return False
        return True

    def controller(self) -> dict[str, Any]:
        """``{"pid", "host", "pri_port", "sec_port", "version"}`` of the controller itself."""
        return self._object("GET", "/controller")

    def processes(self) -> list[Process]:
        """``[{"type": "primary"}, {"type": "nfv", "client-id": 1}]``: those that answer now."""
        found = self._call("GET", "/processes")
        if not isinstance(found, list):
            raise ControlError(
                f"GET /v1/processes on {self._path}: not a list: {found!r}", hint="is it our controller?"
            )
        return found

    def primary_status(self) -> dict[str, Any]:
        return self._object("GET", "/primary/status")

    def nfv_status(self, client_id: int) -> dict[str, Any]:
        return self._object("GET", f"/nfvs/{client_id}")

    def clear(self) -> None:
        """Zero the primary's counters."""
        self._call("DELETE", "/primary/status")

    def status(self, target: str) -> dict[str, Any]:
        """Of a process of any kind: ``primary``, ``nfv:1``, ``vf:3``."""
        return self._object("GET", "/primary/status" if target == "primary" else _base(target))

    def ports(self, target: str) -> list[str]:
        """Ports of a process that can forward; those of the primary stand in its forwarder's part of the status."""
        found = self.status(target)
        return list((found.get("forwarder", {}) if target == "primary" else found).get("ports", []))

    def serve_port(self, target: str, uid: str) -> None:
        """As ``add_port``, and look whether it is there then: spp-ctl says 204 also where the process failed."""
        self.add_port(target, uid)
        if uid not in self.ports(target):
            what = f"{target} was told to add {uid} and nobody said no, but its status does not have it"
            raise ControlError(
                what, hint="its own window says why; a file that is in the way of a socket is one reason"
            )

    def add_port(self, target: str, uid: str) -> None:
        """``target`` is here and below ``primary`` or ``nfv:3``; ``uid`` as ``ring:0``."""
        self._call("PUT", f"{_base(target)}/ports", {"action": "add", "port": uid})

    def del_port(self, target: str, uid: str) -> None:
        self._call("PUT", f"{_base(target)}/ports", {"action": "del", "port": uid})

    def patch(self, target: str, src: str, dst: str) -> None:
        """One way: from ``src`` to ``dst``."""
        self._call("PUT", f"{_base(target)}/patches", {"src": src, "dst": dst})

    def disconnect(self, target: str, src: str) -> None:
        """Take away the patch from ``src``. SPP's own controllers have no such call: there every patch of the process
        is reset, and the others are made again."""
        try:
            self._call("DELETE", f"{_base(target)}/patches/{src}")
        except ControlError as e:
            if not any(text in e.what for text in _NO_SUCH_CALL):
                raise
            self._disconnect_by_reset(target, src)

    def _disconnect_by_reset(self, target: str, src: str) -> None:
        status = self.status(target)
        status = status.get("forwarder", {}) if target == "primary" else status
        patches = [tuple(patch[end].replace(" ", "") for end in ("src", "dst")) for patch in status.get("patches", [])]
        self.reset_patches(target)
        for other, dst in patches:
            if other != src:
                self.patch(target, other, dst)
        if status.get("status") == "running":
            self.forward(target)

    def reset_patches(self, target: str) -> None:
        self._call("DELETE", f"{_base(target)}/patches")

    def probe(self, target: str, number: int, action: str, **words: object) -> None:
        """``start`` or ``stop`` the source of a probe, or reset its sink: ``expect``. ``words``: docs/dataplane.md."""
        self._call("PUT", f"{_base(target)}/probes/{number}", {"action": action, **words})

    def probe_result(self, target: str, number: int) -> dict[str, Any]:
        """Return the counters of a probe: ``{"port", "source": {"sent", ...}, "sink": {"received", ...}}``."""
        return self._object("GET", f"{_base(target)}/probes/{number}")

    def probe_histogram(self, target: str, number: int) -> list[tuple[int, int]]:
        """Return the latencies that a probe has seen, as (lowest ns of a bucket, frames)."""
        found = self._object("GET", f"{_base(target)}/probes/{number}/histogram")["histogram"]
        return [(int(low), int(count)) for low, count in found]

    def forward(self, target: str) -> None:
        self._call("PUT", f"{_base(target)}/forward", {"action": "start"})

    def stop(self, target: str) -> None:
        """Stop forwarding."""
        self._call("PUT", f"{_base(target)}/forward", {"action": "stop"})

    def exit(self, target: str, *, keep: bool = True) -> None:
        """Let the process end itself. ``keep``: it is to have its ports and patches again when it is started again."""
        self._call("DELETE", _base(target) + "?keep=1" * keep)

    def _object(self, method: str, path: str) -> dict[str, Any]:
        found = self._call(method, path)
        if not isinstance(found, dict):
            raise ControlError(
                f"{method} /v1{path} on {self._path}: not an object: {found!r}", hint="is it our controller?"
            )
        return found

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
        asked = f"{method} /v1{path}" + (f" {json.dumps(body)}" if body else "")
        try:
            text = json.dumps(body) if body else ""
            status, raw = http_call.call(self._path, self._timeout, method, f"/v1{path}", text)
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            hint = "sppr status; start it: arrow-up in its window, or runscripts/controller.py"
            raise ControlError(f"the controller does not answer: {why} ({self._path}: {asked})", hint=hint) from error
        if status >= 300:
            text = raw.decode("utf-8", "replace").strip()
            raise ControlError(
                f"{asked}: {text} (status {status})", hint=_HINTS.get(status, "see the controller's window")
            )
        return _parse(raw, asked)


def _base(target: str) -> str:
    kind, _, number = target.partition(":")
    try:
        found = parse_target(f"nfv:{number}" if kind in _BASES else target)
    except ValueError as error:
        raise ControlError(str(error), hint="targets are primary, nfv:1, nfv:2, ...") from None
    return "/primary" if found.kind == "primary" else f"/{_BASES.get(kind, 'nfvs')}/{found.client_id}"


def _parse(raw: bytes, asked: str) -> object:
    try:
        return json.loads(raw) if raw else None
    except ValueError as error:
        raise ControlError(f"{asked}: the answer is no JSON: {error}", hint="is it our controller?") from None
