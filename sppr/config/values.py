"""The types of the values of conf.yml. Scalars arrive as written (see ``load``), so each type parses or checks text."""

import os
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from sppr import units


def key(default: Any = ..., text: str = "", **limits: Any) -> Any:
    """Return a pydantic field. ``text``: its text in docs/conf.md, in Markdown. ``limits``: such as ``ge``."""
    return Field(default, description=text or None, **limits)


class Section(BaseModel):
    """A mapping of conf.yml with known keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def mask(value: object) -> object:
    """Parse a mask as text. A YAML 1.1 loader would have converted it to decimal."""
    if isinstance(value, str) and re.fullmatch(r"0[bB][01]{2,}", value):
        raise ValueError(f"{value[:40]!r} is binary to YAML and hexadecimal to DPDK")
    return units.parse_mask(value) if isinstance(value, str) else value


def mib(value: object) -> object:
    """Parse an amount of memory: MiB, or with a unit."""
    return units.parse_mib(value) if isinstance(value, str) else value


def host(value: str) -> str:
    """Check a dotted IPv4 address. SPP's ``-s`` never connects to a name (docs/spp-protocol.md, Command lines)."""
    try:
        return str(IPv4Address("127.0.0.1" if value == "localhost" else value))
    except ValueError:
        raise ValueError(f"{value!r} is not a dotted IPv4 address, the only form SPP's -s takes") from None


def network(value: str) -> str:
    """Check an IPv4 network."""
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"{value[:40]!r} is not an IPv4 network: {error}") from None


def no_comma_words(value: str) -> str:
    """Check that a text is one argument of EAL for a device."""
    if re.fullmatch(r"[A-Za-z0-9][!-~]*", value) is None:
        raise ValueError(f"{value!r} is not one EAL device argument such as net_tap0,iface=vtap0")
    return value


def decimal(value: object) -> object:
    """Refuse what int() would accept in addition to decimal digits: 1_0, and digits of other scripts."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) is None:
        raise ValueError(f"{value[:40]!r} is not a whole number")
    return value


def folder(value: str) -> str:
    """Return a path without ``.``, ``..`` and double slashes."""
    return os.path.normpath(value)


def interface(value: str) -> str:
    """Check an address in the form that spp_primary takes: dotted decimal, and a prefix length in decimal."""
    if re.fullmatch(r"[0-9.]{7,15}/([1-9]|[12][0-9]|30)", value) is None:
        raise ValueError(f"{value[:40]!r} is not an IPv4 address with a prefix length from 1 to 30")
    try:
        found = IPv4Interface(value)
    except ValueError as error:
        raise ValueError(f"{value[:40]!r} is not an IPv4 address with a prefix length: {error}") from None
    if found.ip.is_loopback or found.ip.is_multicast or found.ip.is_reserved or found.ip in IPv4Network("0.0.0.0/8"):
        raise ValueError(f"{value[:40]!r} is not an address that an interface can have")
    if found.ip in (found.network.network_address, found.network.broadcast_address):
        raise ValueError(f"{value[:40]!r} is the address of the network itself, or its broadcast address")
    return value


#: The booleans of YAML 1.1, in lower case.
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def yes(value: object) -> object:
    """Parse a boolean of YAML 1.1, which arrives as text."""
    if isinstance(value, str) and value.lower() not in BOOLEANS:
        raise ValueError(f"{value[:40]!r} is neither true nor false")
    return BOOLEANS[value.lower()] if isinstance(value, str) else value


Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=1000)]
Int = Annotated[int, BeforeValidator(decimal)]
Yes = Annotated[bool, BeforeValidator(yes)]
Mask = Annotated[
    int, BeforeValidator(mask), PlainSerializer(units.format_mask, return_type=str, when_used="json"), Field(ge=0)
]
Mib = Annotated[int, BeforeValidator(mib)]
Id = Annotated[Int, Field(ge=1, le=127)]
Port = Annotated[Int, Field(ge=1, le=65535)]
UserName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
Network = Annotated[str, AfterValidator(network)]
Vdev = Annotated[str, AfterValidator(no_comma_words)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]
FilePrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]
#: The name of a network interface. The kernel permits other characters, too.
InterfaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")]
NetnsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$")]
#: A value of an impairment: ``20ms``, ``0.5%``, ``gemodel 1% 10%``. ``sppr.impairment`` checks it.
ImpairValue = Annotated[str, Field(pattern=r"^[0-9a-z.%, ]{1,100}$")]
