"""Parse the arguments of ``vf ID;``, ``mirror ID;``, ``pcap ID;``, ``pri; launch`` and ``pri; flow``
(docs/spp-protocol.md, Prompt). Pure.
"""

import re
from typing import Any

from sppr.controller.components import MAC, NAME
from sppr.controller.errors import BadValue
from sppr.controller.primary import RULE
from sppr.controller.prompt.request import Request
from sppr.spp.names import check_id, check_uid

COMPONENT_TYPES = {"vf": ("forward", "merge", "classifier"), "mirror": ("mirror",)}
FORMS = {
    "component": "component start NAME CORE TYPE, component stop NAME",
    "port": "port add|del UID rx|tx NAME [add_vlantag VID PCP|del_vlantag]",
    "classifier_table": "classifier_table add|del mac MAC UID, classifier_table add|del vlan VID MAC UID",
    "launch": "launch nfv|vf|mirror|pcap [ID] EAL... -- APP...",
    "flow": "flow validate|create phy:N [group G] [priority P] [transfer] ingress|egress pattern ITEM / ... / end "
    "actions ACTION / ... / end, flow destroy phy:N RULE|ALL, flow list phy:N, flow status phy:N RULE",
}


def syntax_error(prefix: str, sub: str, what: str) -> BadValue:
    """Return the error for invalid arguments of a subcommand. The hint shows its form."""
    return BadValue(f"{prefix}; {sub}: {what}", hint=FORMS[sub])


def component(prefix: str, kind: str, args: list[str]) -> Request:
    """Parse ``start fw1 2 forward`` or ``stop fw1``."""
    types = COMPONENT_TYPES[kind]
    match args:
        case ["start", name, core, type_] if re.fullmatch(NAME, name) and core.isdecimal() and type_ in types:
            body = {"name": name, "core": int(core), "type": type_}
            return Request("POST", "/components", body, f"Start component {name} on core {core}.")
        case ["stop", name] if re.fullmatch(NAME, name):
            return Request("DELETE", f"/components/{name}", None, f"Stop component {name}.")
    raise syntax_error(prefix, "component", f"{' '.join(args)!r} is not understood; TYPE is one of {', '.join(types)}")


def port(prefix: str, kind: str, args: list[str]) -> Request:
    """Parse ``add ring:0 rx fw1``; for vf also ``... add_vlantag 100 0`` or ``del_vlantag``."""
    vlan: dict[str, Any] = {}
    match args[4:]:
        case []:
            pass
        case ["del_vlantag"] if kind == "vf":
            vlan = {"vlan": {"operation": "del"}}
        case ["add_vlantag", vid, pcp] if kind == "vf" and vid.isdecimal() and pcp.isdecimal():
            vlan = {"vlan": {"operation": "add", "id": int(vid), "pcp": int(pcp)}}
        case extra:
            raise syntax_error(prefix, "port", f"{' '.join(extra)!r} is not understood")
    match args[:4]:
        case ["add" | "del" as action, uid, "rx" | "tx" as direction, name] if re.fullmatch(NAME, name):
            body = {"action": "attach" if action == "add" else "detach", "port": _uid(uid), "dir": direction, **vlan}
            message = f"{'Add' if action == 'add' else 'Delete'} {uid} {'to' if action == 'add' else 'from'} {name}."
            return Request("PUT", f"/components/{name}/ports", body, message)
    raise syntax_error(prefix, "port", f"{' '.join(args)!r} is not understood")


def classifier(prefix: str, args: list[str]) -> Request:
    """Parse ``add mac MAC UID`` or ``add vlan VID MAC UID``."""
    match args:
        case ["add" | "del" as action, "mac", mac, uid]:
            vlan: dict[str, Any] = {"type": "mac"}
        case ["add" | "del" as action, "vlan", vid, mac, uid] if vid.isdecimal():
            vlan = {"type": "vlan", "vlan": int(vid)}
        case _:
            raise syntax_error(prefix, "classifier_table", f"{' '.join(args)!r} is not understood")
    if not re.fullmatch(f"default|{MAC}", mac):
        raise syntax_error(prefix, "classifier_table", f"{mac!r} is neither a MAC address nor default")
    body = {"action": action, **vlan, "mac_address": mac, "port": _uid(uid)}
    return Request("PUT", "/classifier_table", body, f"{'Add' if action == 'add' else 'Delete'} {mac} of {uid}.")


def launch(args: list[str]) -> Request:
    """Parse ``KIND [ID] EAL... -- APP...``, and add ``--proc-type secondary``. The id stands before the options, or
    among them.
    """
    kind, rest = (args[0].removeprefix("spp_"), args[1:]) if args else ("", [])
    if kind not in ("nfv", "vf", "mirror", "pcap"):
        raise syntax_error("pri", "launch", f"{kind!r} is not a kind of secondary")
    number = rest.pop(0) if rest and rest[0].isdecimal() else None
    if "--" not in rest:
        raise syntax_error("pri", "launch", "-- is missing between the EAL options and the options of the program")
    cut = rest.index("--")
    eal, app = _options(rest[:cut]), _options(rest[cut + 1 :])
    eal.setdefault("--proc-type", "secondary")
    option = "-n" if kind == "nfv" else "--client-id"
    number = number or str(app.get(option, ""))
    try:
        client_id = check_id(number)
    except ValueError as error:
        raise syntax_error("pri", "launch", str(error)) from None
    if "-s" not in app:
        raise syntax_error("pri", "launch", "the address of the controller is missing: -s IP:PORT")
    body = {"client_id": client_id, "proc_name": f"spp_{kind}", "eal": eal, "app": app | {option: number}}
    return Request("PUT", "/launch", body, f"Send request to launch {kind}:{client_id}.")


def _options(words: list[str]) -> dict[str, Any]:
    """Return the values by option. An option that is given several times has a list."""
    found: dict[str, Any] = {}
    name = ""
    for word in words:
        if word.startswith("-"):
            name = word
            found[name] = (
                [*([found[name]] if isinstance(found[name], str) else found[name]), ""] if name in found else ""
            )
        elif not name:
            raise syntax_error("pri", "launch", f"{word!r} is not an option")
        elif isinstance(found[name], list):
            found[name][-1] = f"{found[name][-1]} {word}".strip()
        else:
            found[name] = f"{found[name]} {word}".strip()
    return found


def flow(args: list[str]) -> Request:
    """Parse a command for the flow rules of a NIC.

    ``list`` and ``status`` become a GET with an empty path: the rules are in the status of the primary.
    """
    if len(args) < 2 or not re.fullmatch(r"phy:\d{1,3}", args[1]):
        raise syntax_error("pri", "flow", "the NIC is missing: phy:N")
    nic, rest = args[1][4:], args[2:]
    if args[0] in ("list", "status") and len(rest) == (args[0] == "status"):
        return Request("GET", "", {"port": int(nic), "rule": rest[0] if rest else ""})
    if args[0] == "destroy" and len(rest) == 1 and re.fullmatch(r"ALL|\d{1,9}", rest[0]):
        rule = "" if rest[0] == "ALL" else f"/{rest[0]}"
        return Request("DELETE", f"/flow_rules{rule}/port_id/{nic}")
    if args[0] not in ("validate", "create"):
        raise syntax_error("pri", "flow", f"{' '.join(args)!r} is not understood")
    tail = "/validate" if args[0] == "validate" else ""
    return Request("POST", f"/flow_rules/port_id/{nic}{tail}", {"rule": _rule(rest)})


def _rule(words: list[str]) -> dict[str, Any]:
    text = " ".join(words)
    found = re.fullmatch(r"(.*?)\s*\b(ingress|egress)\s+pattern (.+) /\s+end actions (.+) /\s+end", text)
    attributes = re.fullmatch(r"(?:group (\d+) ?)?(?:priority (\d+) ?)?(transfer ?)?", found[1]) if found else None
    items = [[item.strip() for item in found[n].split(" / ")] for n in (3, 4)] if found else []
    if not found or not attributes or not all(re.fullmatch(RULE, item) for part in items for item in part):
        raise syntax_error("pri", "flow", f"{text!r} is not understood")
    rule: dict[str, Any] = {"direction": found[2], "pattern": items[0], "actions": items[1]}
    rule |= {key: int(attributes[n]) for key, n in (("group", 1), ("priority", 2)) if attributes[n]}
    return rule | ({"transfer": True} if attributes[3] else {})


def _uid(text: str) -> str:
    try:
        return check_uid(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
