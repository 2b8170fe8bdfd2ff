"""Fixes for single values of conf.yml: what to write instead. The value is derived from the text, if possible."""

import re
from collections.abc import Sequence

from sppr import units
from sppr.config.problem import Path as KeyPath
from sppr.config.rules import MAX_LCORE

PATCH = "write '- sec1: tap:0 -> ring:0', a part and one patch"
BETWEEN = "write two names of hosts:, such as [east, west]"
CABLE = "write {east: phy:1, west: phy:1}, two names of hosts: with a NIC each"
VDEV = "write it as net_tap0,iface=vtap0"
MATCH = "use one of: default, {vlan: 100}, {dst_mac: '02:00:00:00:00:21'}"
_INTS = (
    "id", "pri_port", "sec_port", "rest_port", "ssh_port", "rings", "vhosts", "channels", "cores", "secondary", "vlan",
    "vni", "port",
)  # fmt: skip


def of_value(path: KeyPath, given: object) -> str:
    """Return the fix for a scalar of the wrong type, with the value that was probably meant."""
    key = next(step for step in reversed(path) if isinstance(step, str))
    if key in _INTS:
        return _number(given)
    if key in ("coremask", "portmask"):
        return _mask(given)
    fixes = {
        "memory": "write MiB, or a number with M or G",
        "restart": "use one of: no, on-failure, {policy: on-failure, delay: 1, max: 5}",
        **dict.fromkeys(("vhost_client", "web", "metrics", "become"), "write true or false"),
        "host": "write an address such as 127.0.0.1",
        "rest_host": "write an address such as 127.0.0.1",
        "allow": "write networks such as [192.168.1.0/24]",
        "network": "use one of: restricted, open",
        "bridge": "write the name of a bridge, such as br0",
        "vdevs": VDEV,
        "match": MATCH,
        "address": "write it as 10.20.0.1/24",
        "link_address": "write an address such as 192.0.2.11",
    }
    return fixes.get(key, "see docs/conf.md")


def _number(given: object) -> str:
    """Return the fix for a number that is not plain decimal: 0x6, 0o6, 1.0, 1_000, +6."""
    text = str(given).strip()
    if re.fullmatch(r"[0-9]+#.*", text):
        return "put a space before #, where a comment begins"
    for read in (lambda: int(text, 0), lambda: int(text), lambda: float(text)):
        try:
            number = read()
        except (ValueError, OverflowError):
            continue
        if number == int(number) if abs(number) < 10**9 else False:
            return f"write a decimal number: {int(number)}"
    return "write one decimal number"


def _mask(given: object) -> str:
    """Return the fix for a mask. A list of cores (0-3, 1,2) is converted to its mask."""
    text = ",".join(map(str, given)) if isinstance(given, list) else str(given).strip()
    try:
        listed = units.parse_ids(text)
    except ValueError:
        listed = []
    if listed and max(listed) < MAX_LCORE:
        return f"write the mask of these bits: {units.format_mask(units.mask(listed))}"
    return "write a mask such as 0x0C"


def of_list(path: KeyPath, given: object) -> str:
    """Return the fix for a value that should be a list."""
    if path[-1] == "between":
        return BETWEEN
    if isinstance(given, str) and path[-1] not in ("secondaries", "vms_ring", "vms_vhost"):
        words = given.split() if path[-1] in ("args", "vdevs") else re.split(r"[\s,]+", given)
        quoted = ", ".join(word if re.fullmatch(r"[\w.=/+-]+(:[0-9]+)?", word) else f"'{word}'" for word in words)
        return f"write [{quoted}]" if len(quoted) < 60 else "write it in brackets, with commas between its entries"
    return "begin each entry with '- ', a dash and a space"


def of_mapping(path: KeyPath, given: object, known: Sequence[str]) -> str:
    """Return the fix for a value that should be a mapping. ``known``: the keys that are allowed at ``path``."""
    if path[0] == "hosts" and len(path) <= 2:
        return "write 'NAME: {address: 192.0.2.11}' lines below hosts:, indented"
    of_lists = {
        "links": "write '- {between: [east, west]}'",
        "provision": "write '- COMMAND', or '- {file: PATH, to: /PATH}'",
        "patches": PATCH,
    }
    if path[0] == "links" and path[-1] == "phy":
        return CABLE
    if path[0] in of_lists:
        return of_lists[str(path[0])]
    if path[0] == "chains" and len(path) <= 2:
        return "write 'NAME: {path: [tap:0, vm_v11, tap:1]}' lines below chains:, indented"
    if path[0] == "chains" and path[-1] == "functions":
        return "write {vm_v11: guest}"
    if path[0] == "chains" and path[-1] == "match":
        return MATCH
    if path[0] == "chains" and path[-1] == "impair":
        return "write {delay: 20ms, loss: 0.5%}"
    if path[0] == "chains":
        return "write {tap:0: {netns: client, address: 10.20.0.1/24}}"
    if isinstance(path[-1], int):
        number = given if isinstance(given, str) and given.isascii() and given.isdigit() else 1
        return f"write the entry as '- id: {number}', its other keys below id:"
    if isinstance(given, list):
        return "write 'key: value' lines below it, indented, without '- '"
    if isinstance(given, str) and (match := re.fullmatch(r"(\w+)\s*[=,;]?\s*(\S.*)", given)) and match[1] in known:
        return f"write '{match[1]}: {match[2]}'"
    return "write 'key: value' lines below it, indented"


def of_pattern(path: KeyPath) -> str:
    """Return the fix for a text with characters that are not allowed."""
    if path[0] == "patches":
        return PATCH
    if path[0] == "hosts" or "between" in path or path[-1] == "host":
        return _of_host(path)
    if path[0] == "links" and "phy" in path:
        return CABLE
    if path[0] == "links":
        return "leave it out: sppr up writes it"
    if "allow_users" in path:
        return "write user names of this machine, such as [ana, ben]"
    if "impair" in path:
        return "write it as tc netem does: 20ms, 0.5%, 10mbit"
    fixes = {
        "to": "write an absolute path in the guest",
        "port": "write phy:N, ring:N or tap:N",
        **dict.fromkeys(("sock_dir", "hugepages", "out_dir"), "write an absolute path without spaces"),
        "dir": "write a path",
        "dst_mac": "write it as 02:00:00:00:00:21",
        "base": "write a file name only; the folder goes to images.dir",
        "bridge": "write the name of a bridge, such as br0: letters, digits, -, _ and ., 15 at most",
        **dict.fromkeys(("file_prefix", "target", "netns"), "use letters, digits, - and _ only"),
    }
    name = "use letters, digits, - and _ only (tmux reads . and : as separators), 32 at most"
    return fixes.get(str(path[-1]), name)


def _of_host(path: KeyPath) -> str:
    """Return the fix for a text in ``hosts:``, or for the name of a host."""
    if path[-1] in ("folder", "program"):
        return "write an absolute path without spaces, or one that begins with ~/"
    if path[-1] == "address":
        return "write an address such as 192.0.2.11, or a name that ssh knows"
    if path[-1] == "user":
        return "write the name of a user there, such as lab"
    if "vars" in path:
        return "write a variable of Ansible: small letters, digits and _"
    return "begin with a small letter; use small letters, digits and - only, 15 characters at most"
