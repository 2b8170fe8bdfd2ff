"""Bodies of REST v1 (spp-facts 5) as models: what they refuse is a 400; their schemas are in the OpenAPI document."""

import json
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from sppr.controller.components import MAC, NAME
from sppr.controller.errors import BadValue
from sppr.controller.launch import PROGRAMS
from sppr.controller.primary import RULE
from sppr.spp.names import FIRST_ID, LAST_ID, PORT_TYPES, check_uid, is_ethdev_number

UID_SCHEMA = rf"^(({'|'.join(PORT_TYPES)}):(0|[1-9][0-9]{{0,2}})|phy:(0|[1-9][0-9]{{0,2}})nq(0|[1-9][0-9]{{0,2}}))$"
RING_SCHEMA = r"^ring:(0|[1-9][0-9]{0,2})$"


def _end(value: object) -> str:
    return str(value) if is_ethdev_number(value) else check_uid(value)


Uid = Annotated[str, BeforeValidator(check_uid), WithJsonSchema({"type": "string", "pattern": UID_SCHEMA})]
End = Annotated[str, BeforeValidator(_end), WithJsonSchema({"type": "string", "pattern": UID_SCHEMA})]
Name = Annotated[str, Field(pattern=f"^(?:{NAME})$", examples=["fwd0"])]
Mac = Annotated[str, Field(pattern=f"^(?:default|{MAC})$", examples=["default"])]
Item = Annotated[str, Field(pattern=f"^(?:{RULE})$", examples=["eth dst is 0a:00:00:00:00:01"], max_length=200)]
Number = Annotated[int, Field(ge=0, le=1_000_000)]


class Body(BaseModel):
    """Keys that are not known are passed over, as spp-ctl does."""

    model_config = ConfigDict(strict=True)


class Action(Body):
    action: Literal["start", "stop"]


class Port(Body):
    action: Literal["add", "del"]
    port: Uid


class PrimaryPort(Port):
    """A pipe, and nothing else, is added with two rings."""

    rx: Uid | None = None
    tx: Uid | None = None


class Patch(Body):
    src: End
    dst: End


Unsigned16 = Annotated[int, Field(ge=0, le=0xFFFF)]
Unsigned32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
MacAddress = Annotated[str, Field(pattern=f"^(?:{MAC})$", examples=["02:00:00:00:00:01"])]
Ipv4Address = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$", examples=["198.18.0.1"])]


class Probe(Body):
    """start makes frames, expect resets the sink, stop makes no more (docs/dataplane.md). The data plane checks what
    goes together."""

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


class Launch(Body):
    """Options by name; a value is text, a list of texts, or empty for a bare flag."""

    client_id: Annotated[int, Field(ge=FIRST_ID, le=LAST_ID)]
    proc_name: Literal[PROGRAMS]  # type: ignore[valid-type]
    eal: dict[str, str | list[str] | bool | None]
    app: dict[str, str | list[str] | bool | None]


class Rule(Body):
    direction: Literal["ingress", "egress"]
    pattern: list[Item] = Field(min_length=1)
    actions: list[Item] = Field(min_length=1)
    group: Number | None = None
    priority: Number | None = None
    transfer: bool | None = None


class FlowRule(Body):
    rule: Rule


class Component(Body):
    name: Name
    core: Annotated[int, Field(ge=0, le=127)]
    type: Literal["forward", "merge", "classifier", "classifier_mac"]


class MirrorComponent(Body):
    name: Name
    core: Annotated[int, Field(ge=0, le=127)]
    type: Literal["mirror"]


class Vlan(Body):
    """An empty one is none; ``add`` wants ``id`` and ``pcp``."""

    operation: Literal["none", "add", "del"] = "none"
    id: Annotated[int, Field(ge=0, le=4095)] | None = None
    pcp: Annotated[int, Field(ge=0, le=7)] | None = None


class ComponentPort(Body):
    action: Literal["attach", "detach"]
    port: Uid
    dir: Literal["rx", "tx"]


class VfPort(ComponentPort):
    vlan: Vlan | None = None


class Classifier(Body):
    """``vlan`` is wanted where ``type`` is vlan."""

    action: Literal["add", "del"]
    type: Literal["mac", "vlan"]
    mac_address: Mac
    port: Uid
    vlan: Annotated[int, Field(ge=0, le=4095)] | None = None


B = TypeVar("B", bound=Body)


def read(raw: bytes, model: type[B]) -> B:
    """The JSON object of a request, whatever its Content-Type says. BadValue names the first key at fault."""
    try:
        return check(json.loads(raw), model)
    except (ValueError, RecursionError):
        raise BadValue("Not in json format.") from None


def check(given: object, model: type[B]) -> B:
    """``given`` as a body. BadValue else."""
    if not isinstance(given, dict):
        raise BadValue("Not in json format.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise BadValue(_told(error)) from None


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    first = next((e for e in found if e["type"] == "missing"), found[0])
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"key({key}) required."
    if first["type"] == "value_error":
        return str(first["msg"]).removeprefix("Value error, ")
    said = first["msg"]
    return f"invalid value of key({key}): {said[:1].lower()}{said[1:]}"
