"""Check the options of ``pri; launch``: the options with which the primary may start a secondary.

A secondary runs as root, and EAL has options that load a library, read a file or move its directories. The request
arrives over a socket, so only the options below are passed on. Each value must match a pattern, and no pattern permits
a path. sppr's own primary has a list of its own (dataplane/launch/options.c), without the names that DPDK 22.11 does
not have.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from sppr.controller.errors import BadValue

PROGRAMS = ("spp_nfv", "spp_vf", "spp_mirror", "spp_pcap")
#: EAL options, and the pattern of their value. An option with an empty pattern takes no value.
EAL_OPTIONS = {
    "-l": r"[0-9][0-9,-]{0,200}",
    "--lcores": r"[0-9(][0-9,@()-]{0,200}",
    "-c": r"(0x)?[0-9A-Fa-f]{1,32}",
    "-n": r"[0-9]{1,3}",
    "-m": r"[0-9]{1,6}",
    "--socket-mem": r"[0-9]{1,6}(,[0-9]{1,6}){0,7}",
    "--proc-type": "secondary",
    "--base-virtaddr": r"0x[0-9A-Fa-f]{1,16}",
    "--main-lcore": r"[0-9]{1,3}",
    "--master-lcore": r"[0-9]{1,3}",
    "--no-pci": "",
    "--log-level": r"[A-Za-z0-9.,:*-]{1,80}",
    "--vdev": r"(net|eth)_(null|ring)[0-9]{1,3}(,(size|copy|no-rx)=[0-9]{1,5})*"
    r"|net_tap[0-9]{1,3}(,iface=[A-Za-z0-9_-]{1,15})?",
}
#: Options of the programs. The ``-c`` of spp_pcap names the port to capture.
APP_OPTIONS = {
    "-n": r"[0-9]{1,3}",
    "--client-id": r"[0-9]{1,3}",
    "-s": r"[0-9.]{7,15}:[0-9]{1,5}",
    "--vhost-client": "",
    "-c": r"(phy|ring|vhost|tap|memif):[0-9]{1,3}",
}


@dataclass(frozen=True)
class Lab:
    """The values that connect a secondary to this lab.

    ``file_prefix``: EAL's, as the primary has it. ``host``, ``sec_port``: the address at which the controller serves
    secondaries.
    """

    file_prefix: str = "rte"
    host: str = "127.0.0.1"
    sec_port: int = 6666

    def is_controller(self, address: str) -> bool:
        """Return whether ``address`` (IP:PORT) is the address at which this controller serves secondaries."""
        host, _, port = address.rpartition(":")
        try:
            given = IPv4Address(host)
        except ValueError:
            return False
        return int(port) == self.sec_port and (host == self.host or given.is_loopback)


def command(lab: Lab, client_id: int, program: str, eal: Mapping[str, object], app: Mapping[str, object]) -> str:
    """Return the ``launch`` command of SPP. A value is text, a list of texts, or empty for an option without a value.

    Raise BadValue, which names the first option that is not permitted or has a value that is not.
    """
    if not {"-c", "-l", "--lcores"} & set(eal):
        raise BadValue("no cores: one of -c, -l, --lcores is needed", hint="-l 2,3")
    if "--proc-type" not in eal:
        raise BadValue("--proc-type is missing", hint="--proc-type secondary")
    allowed = EAL_OPTIONS | {"--file-prefix": re.escape(lab.file_prefix)}
    words = ["launch", str(client_id), program, *_words("EAL", eal, allowed), "--", *_words(program, app, APP_OPTIONS)]
    for address in _values(app.get("-s", ())):
        if not lab.is_controller(address):
            what = f"-s {address} is not this controller, which serves secondaries at {lab.host}:{lab.sec_port}"
            raise BadValue(what, hint=f"-s {lab.host}:{lab.sec_port}")
    return " ".join(words)


def _words(owner: str, given: Mapping[str, object], allowed: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        if name not in allowed:
            what = f"{name[:40]!r} is not an option of {owner} that launch may pass on"
            raise BadValue(what, hint=f"allowed: {', '.join(sorted(allowed))}")
        for text in _values(value):
            if re.fullmatch(allowed[name], text) is None:
                raise BadValue(f"{text[:80]!r} is not a value of {name} that launch may pass on")
            yield name
            if text:
                yield text


def _values(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return ["" if one is None or one is True else str(one) for one in values]
