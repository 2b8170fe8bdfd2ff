"""A line of the prompt as a call of REST, the same for the local and a remote controller. Pure."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sppr.spp import match
from sppr.spp.match import DEFAULT
from sppr.spp.names import PRIMARY, Target

_BASES = {"nfv": "nfvs", "vm": "nfvs", "vf": "vfs", "mirror": "mirrors", "pcap": "pcaps"}


@dataclass(frozen=True)
class Request:
    """A call of REST. ``path``: follows the base path of the process. ``message``: printed on success; if it is empty,
    the ``message`` of the answer is printed.
    """

    method: str
    path: str
    body: dict[str, Any] | None = None
    message: str = ""


def base(target: Target) -> str:
    """Return ``/primary`` or ``/nfvs/1``. ``target`` must not be of the kind ``sec``."""
    return "/primary" if target == PRIMARY else f"/{_BASES[target.kind]}/{target.client_id}"


def change(verb: str, args: tuple[str, ...]) -> Request:
    """Return the call for a subcommand that primary and nfv have in common (``commands``)."""
    if verb == "add":
        rings = dict(zip(("rx", "tx"), args[1:], strict=False))
        return Request("PUT", "/ports", {"action": "add", "port": args[0], **rings}, f"Add {args[0]}.")
    if verb == "del":
        return Request("PUT", "/ports", {"action": "del", "port": args[0]}, f"Delete {args[0]}.")
    if verb == "patch":
        body = {"src": args[0], "dst": args[1], **({"match": args[2]} if len(args) > 2 else {})}
        return Request("PUT", "/patches", body, f"Patch ports ({' '.join((args[0], *args[2:]))} -> {args[1]}).")
    if verb == "impair":
        port, words, text = args
        body = {"src": port, "match": words or DEFAULT, "impair": text}
        return Request("PUT", "/impairments", body, f"Impair {match.source(port, words)}: {text}.")
    if verb == "disconnect":
        query = f"?{urlencode({'match': args[1]})}" if len(args) > 1 else ""
        return Request("DELETE", f"/patches/{args[0]}{query}", None, f"Remove the patch from {' '.join(args)}.")
    if verb == "forward":
        return Request("PUT", "/forward", {"action": "start"}, "Start forwarding.")
    return {
        "stop": Request("PUT", "/forward", {"action": "stop"}, "Stop forwarding."),
        "reset": Request("DELETE", "/patches", None, "Clear all of patches."),
        "clear": Request("DELETE", "/status", None, "Clear port statistics."),
    }[verb]
