"""The OpenAPI document of ``routes``. Pure."""

import re
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sppr.controller.rest.bodies import MATCH_SCHEMA
from sppr.controller.rest.routes import PATH_PATTERNS, ROUTES, Route

_DESCRIPTIONS = {
    200: "success", 204: "success", 400: "invalid body, or the process refused: its message", 404: "no such process",
    405: "", 413: "body too long", 504: "the process does not answer", 500: "internal error of the controller",
}  # fmt: skip
_NUMBER_DESCRIPTIONS = {
    "id": "id of the secondary",
    "port": "number of the NIC",
    "rule": "number of the flow rule",
    "probe": "number of the probe",
}
#: Which of the patches from a port ``DELETE .../patches/{src}`` removes.
_MATCH = {
    "name": "match", "in": "query", "required": False,
    "schema": {"type": "string", "pattern": f"{MATCH_SCHEMA}|^default$"},
    "description": "remove only the patch with this match, or (default) only the patch without a match",
}  # fmt: skip


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as a JSON object."""
    models = sorted({route.body for route in ROUTES if route.body}, key=lambda model: model.__name__)
    definitions: list[tuple[type[BaseModel], Literal["validation"]]] = [(model, "validation") for model in models]
    _, schemas = models_json_schema(definitions, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/v1{route.path}", {})[route.method.lower()] = _operation(route)
    for path, summary in (("/v1/controller", "the controller itself"), ("/v1/openapi.json", "this document")):
        paths[path] = {"get": {"summary": summary, "responses": _responses(200, 500)}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "SPP controller", "version": version, "description": "REST v1 of spp-ctl, as sppr serves it"},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters = [_parameter(name) for name in names] + ([_MATCH] if "src" in names else [])
    codes = [200 if route.returns_json else 204, 500]
    if names or route.path.startswith("/primary"):
        codes += [400, 404, 504]
    result: dict[str, Any] = {"summary": route.summary, "parameters": parameters}
    if route.body:
        codes.append(413)
        reference = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        result["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return result | {"responses": _responses(*sorted(set(codes)))}


def _parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": f"^{PATH_PATTERNS[name]}$"}
    if name in _NUMBER_DESCRIPTIONS:
        schema = {"type": "integer", "minimum": 0, "maximum": {"port": 999, "probe": 99}.get(name, 999999999)}
    description = _NUMBER_DESCRIPTIONS.get(name, name)
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


def _responses(*codes: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for code in codes:
        result[str(code)] = {"description": _DESCRIPTIONS[code]}
        if code != 204:
            media_type = "application/json" if code == 200 else "text/plain"
            result[str(code)]["content"] = {media_type: {"schema": {} if code == 200 else {"type": "string"}}}
    return result
