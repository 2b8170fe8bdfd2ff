"""The bodies of REST v1 as pydantic models (docs/spp-protocol.md, REST). An invalid body is a 400; the schemas are part
of the OpenAPI document.
"""

import json
import re
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from sppr.controller.components import MAC, NAME
from sppr.controller.errors import BadValue
from sppr.controller.launch import PROGRAMS
from sppr.controller.primary import RULE
from sppr.spp import match
from sppr.spp.names import FIRST_ID, LAST_ID, PORT_TYPES, QUEUE_TYPES, check_uid, is_ethdev_number

_NUMBER = r"(0|[1-9][0-9]{0,2})"
UID_SCHEMA = rf"^(({'|'.join(PORT_TYPES)}):{_NUMBER}|({QUEUE_TYPES}):{_NUMBER}nq{_NUMBER})$"
RING_SCHEMA = r"^ring:(0|[1-9][0-9]{0,2})$"


def _check_patch_end(value: object) -> str:
    return str(value) if is_ethdev_number(value) else check_uid(value)


def _check_match(value: object) -> str:
    if not isinstance(value, str) or re.fullmatch(MATCH_SCHEMA, value) is None:
        raise ValueError(f"{str(value)[:40]!r} is not a match: vlan=100, dst_mac=02:00:00:00:00:21, or both")
    return match.canonical(value.split())


Uid = Annotated[str, BeforeValidator(check_uid), WithJsonSchema({"type": "string", "pattern": UID_SCHEMA})]
PatchEnd = Annotated[str, BeforeValidator(_check_patch_end), WithJsonSchema({"type": "string", "pattern": UID_SCHEMA})]
_MAC_SCHEMA = r"(dst|src)_mac=[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"
_VLAN_SCHEMA = r"vlan=([1-9][0-9]{0,2}|[123][0-9]{3}|40[0-8][0-9]|409[0-4])"
MATCH_SCHEMA = rf"^({_VLAN_SCHEMA}( {_MAC_SCHEMA})?|{_MAC_SCHEMA})$"
Match = Annotated[
    str,
    BeforeValidator(_check_match),
    WithJsonSchema({"type": "string", "pattern": MATCH_SCHEMA, "examples": ["vlan=100"]}),
]
ImpairText = Annotated[
    str,
    Field(pattern=r"^(?:off|[a-z]+=[a-z0-9.,%-]+(?: [a-z]+=[a-z0-9.,%-]+)*)$", max_length=500, examples=["delay=20ms"]),
]
Name = Annotated[str, Field(pattern=f"^(?:{NAME})$", examples=["fwd0"])]
Mac = Annotated[str, Field(pattern=f"^(?:default|{MAC})$", examples=["default"])]
Item = Annotated[str, Field(pattern=f"^(?:{RULE})$", examples=["eth dst is 0a:00:00:00:00:01"], max_length=200)]
Number = Annotated[int, Field(ge=0, le=1_000_000)]


class Body(BaseModel):
    """A body. Unknown keys are ignored, as by spp-ctl."""

    model_config = ConfigDict(strict=True)


class Action(Body):
    """Start or stop something."""

    action: Literal["start", "stop"]


class Port(Body):
    """Add or delete a port."""

    action: Literal["add", "del"]
    port: Uid


class PrimaryPort(Port):
    """Add or delete a port of the primary. A pipe takes two rings, other ports none."""

    rx: Uid | None = None
    tx: Uid | None = None


class Patch(Body):
    """Patch one port to another, one way. ``match``: the patch takes only these frames, ``vlan=100`` or
    ``dst_mac=02:00:00:00:00:21`` or both; spp-ctl has no such key.
    """

    src: PatchEnd
    dst: PatchEnd
    match: Match | None = None


class Impairment(Body):
    """Set the impairment of a patch: keys and values of tc netem (docs/dataplane.md), or ``off``. ``match``: of the
    patch; ``default``: the patch without a match.
    """

    src: Uid
    match: Literal["default"] | Match = "default"
    impair: ImpairText


Unsigned16 = Annotated[int, Field(ge=0, le=0xFFFF)]
Unsigned32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
MacAddress = Annotated[str, Field(pattern=f"^(?:{MAC})$", examples=["02:00:00:00:00:01"])]
Ipv4Address = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$", examples=["198.18.0.1"])]


class Probe(Body):
    """``start`` sends frames, ``expect`` resets the sink, ``stop`` stops the source (docs/dataplane.md). The data plane
    checks which keys belong together.
    """

    action: Literal["start", "expect", "stop"]
    flow: Unsigned16 | None = None
    key: Unsigned32 | None = None
    rate: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    count: Annotated[int, Field(ge=0, le=1 << 62)] | None = None
    time: Annotated[int, Field(ge=0, le=86_400_000)] | None = None
    window: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    peer: Annotated[int, Field(ge=0, le=31)] | None = None
    size: Annotated[int, Field(ge=64, le=9000)] | Literal["imix"] | None = None
    proto: Literal["udp", "tcp"] | None = None
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = None
    src_mac: MacAddress | None = None
    dst_mac: MacAddress | None = None
    src_ip: Ipv4Address | None = None
    dst_ip: Ipv4Address | None = None
    src_port: Unsigned16 | None = None
    dst_port: Unsigned16 | None = None


class GuestCapture(Body):
    """Start to capture a side of a guest's port, read the frames, or stop all captures of the guest. A capture that
    nobody reads for 5 s stops.
    """

    action: Literal["start", "read", "stop"]
    port: Uid | None = None
    side: Literal["rx", "tx"] | None = None
    snaplen: Annotated[int, Field(ge=64, le=262_144)] | None = None


class Launch(Body):
    """Start a secondary. Options by name; a value is text, a list of texts, or empty for an option without a value."""

    client_id: Annotated[int, Field(ge=FIRST_ID, le=LAST_ID)]
    proc_name: Literal[PROGRAMS]  # type: ignore[valid-type]
    eal: dict[str, str | list[str] | bool | None]
    app: dict[str, str | list[str] | bool | None]


class Rule(Body):
    """A flow rule."""

    direction: Literal["ingress", "egress"]
    pattern: list[Item] = Field(min_length=1)
    actions: list[Item] = Field(min_length=1)
    group: Number | None = None
    priority: Number | None = None
    transfer: bool | None = None


class FlowRule(Body):
    """Validate or create a flow rule."""

    rule: Rule


class Component(Body):
    """Start a component of a vf."""

    name: Name
    core: Annotated[int, Field(ge=0, le=127)]
    type: Literal["forward", "merge", "classifier", "classifier_mac"]


class MirrorComponent(Body):
    """Start the component of a mirror."""

    name: Name
    core: Annotated[int, Field(ge=0, le=127)]
    type: Literal["mirror"]


class Vlan(Body):
    """A change of the VLAN tag. An empty object changes nothing; ``add`` requires ``id`` and ``pcp``."""

    operation: Literal["none", "add", "del"] = "none"
    id: Annotated[int, Field(ge=0, le=4095)] | None = None
    pcp: Annotated[int, Field(ge=0, le=7)] | None = None


class ComponentPort(Body):
    """Attach a port to a component, or detach it."""

    action: Literal["attach", "detach"]
    port: Uid
    dir: Literal["rx", "tx"]


class VfPort(ComponentPort):
    """Attach a port to a component of a vf, or detach it."""

    vlan: Vlan | None = None


class Classifier(Body):
    """Add or delete an entry of the classifier table. ``vlan`` is required if ``type`` is vlan."""

    action: Literal["add", "del"]
    type: Literal["mac", "vlan"]
    mac_address: Mac
    port: Uid
    vlan: Annotated[int, Field(ge=0, le=4095)] | None = None


B = TypeVar("B", bound=Body)


def parse(text: bytes, model: type[B]) -> B:
    """Return the body of a request, regardless of its Content-Type. Raise BadValue, which names the first invalid
    key.
    """
    try:
        return validate(json.loads(text), model)
    except (ValueError, RecursionError):
        raise BadValue("Not in json format.") from None


def validate(data: object, model: type[B]) -> B:
    """Return ``data`` as a body. Raise BadValue, which names the first invalid key."""
    if not isinstance(data, dict):
        raise BadValue("Not in json format.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise BadValue(_message(error)) from None


def _message(error: ValidationError) -> str:
    errors = error.errors(include_url=False, include_context=False)
    first = next((e for e in errors if e["type"] == "missing"), errors[0])
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"key({key}) required."
    if first["type"] == "value_error":
        return str(first["msg"]).removeprefix("Value error, ")
    message = first["msg"]
    return f"invalid value of key({key}): {message[:1].lower()}{message[1:]}"
