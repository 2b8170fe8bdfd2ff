"""The JSON schema of conf.yml, derived from the model, for editors with a YAML language server.

An editor reads a scalar as YAML 1.2 does, and the loader reads it as written. The schema accepts each form of a value
that the loader accepts: a mask is an integer (``0x03``) or a text (``0C``), a boolean is ``true`` or the text ``yes``,
and a text may look like a number (``session: 5``). It cannot check rules over several keys: ``sppr plan`` does.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sppr.config import model, values

#: The file beside conf.yml, and the first line of a conf.yml that refers to it.
FILE = "conf.schema.json"
MODELINE = f"# yaml-language-server: $schema={FILE}"

#: Validator of the model -> the texts that it accepts. The pattern does not apply to a number of YAML.
_NUMBERS: dict[Any, str] = {
    values.decimal: "^-?[0-9]{1,18}$",
    values.mask: r"^(?!0[bB][01]{2,}$)\s*(0[xX])?[0-9a-fA-F]+\s*$",
    values.mib: r"^\s*[0-9]{1,12}\s*[kKmMgG]?(i?[bB])?\s*$",
    values.yes: f"^({'|'.join(''.join(f'[{c}{c.upper()}]' for c in word) for word in values.BOOLEANS)})$",
}
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_TEXTS: dict[Any, str] = {
    values.host: f"^({_IPV4}|localhost)$",
    values.network: rf"^{_IPV4}(/([0-9]|[12][0-9]|3[0-2]|{_IPV4}))?$",
    values.interface: rf"^{_IPV4}/([1-9]|[12][0-9]|30)$",
    values.no_comma_words: "^[A-Za-z0-9][!-~]*$",
}
#: A number with an optional fraction and exponent, as a quoted text.
_FLOAT = r"^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"
_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
#: Keys of a mapping that the loader ignores.
_IGNORED: dict[str, Any] = {"^x-": {}}


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with every form of a value that the loader accepts."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        found = super().function_before_schema(schema)
        function = schema["function"]["function"]
        if function in _NUMBERS:
            return found | {"type": [found["type"], "string"], "pattern": _NUMBERS[function]}
        if function is model._restart:
            return {"anyOf": [{"type": "string", "enum": list(model.POLICIES)}, found]}
        if function is model._match:
            return {"anyOf": [{"type": "string", "enum": ["default"]}, found | {"minProperties": 1}]}
        if function is model._step:
            return {"anyOf": [{"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 10000}, found]}
        return found

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        found = super().function_after_schema(schema)
        pattern = _TEXTS.get(schema["function"]["function"])
        return _text(found | {"pattern": pattern}) if pattern else found

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return _text(super().str_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "string"], "pattern": _FLOAT}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Return an enum. A release such as 17.05 is a number in YAML, unless it is quoted."""
        words = list(schema["expected"])
        numbers = [float(word) for word in words if re.fullmatch(r"[0-9]+\.[0-9]+", word)]
        return {"enum": [*words, *numbers]} if numbers else {"type": "string", "enum": words}


def _text(found: JsonSchemaValue) -> JsonSchemaValue:
    """Return the schema of a text. YAML makes a number or a boolean of some texts: ``session: 5``."""
    pattern = found.get("pattern", "")
    looks = {"number": ("5", "1.5"), "boolean": ("true",)}
    types = [name for name, texts in looks.items() if any(re.search(pattern, text) for text in texts)]
    return found | {"type": ["string", *types] if types else "string"}


def schema() -> dict[str, Any]:
    """Return the schema of conf.yml."""
    adapter = TypeAdapter(model.Config)
    raw = adapter.json_schema(schema_generator=_Generator)
    definitions = raw.pop("$defs")
    found = _tidy(_inline(raw, definitions))
    for name, value in found["properties"].items():  # the loader ignores a section without content
        found["properties"][name] = _or_null(value)
    about = "A lab of spp-runner, as conf.yml describes it"
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "conf.yml", **found, "description": about}


def text() -> str:
    """Return the content of conf.schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    """Return the schema with each reference replaced by its definition. The keys beside a reference take precedence."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _inline(value, definitions) for key, value in node.items()}
    if name := node.pop("$ref", ""):
        return _inline(definitions[name.rpartition("/")[2]], definitions) | node
    return node


def _tidy(node: Any) -> Any:
    """Return the schema of one value in the form that editors show best: no titles, Markdown, one list of types."""
    node = {_BOUNDS.get(key, key): value for key, value in node.items() if key != "title"}
    if not _is_scalar(node.get("default")) or node["default"] is None:
        node.pop("default", None)
    if "pattern" in node and node["pattern"] == _NUMBERS[values.mask] and "default" in node:
        node["default"] = f"0x{node['default']:02X}"
    _each(node, _tidy)
    if "anyOf" in node:
        node = _merged(node)
    if "properties" in node or "patternProperties" in node or isinstance(node.get("additionalProperties"), dict):
        names = {_without_ignored(name): value for name, value in node.get("patternProperties", {}).items()}
        node["patternProperties"] = names | _IGNORED
        node.setdefault("additionalProperties", False)
    if "description" not in node and (about := _about(node)):
        node["description"] = about
    if "description" in node:
        node |= _described(node["description"])
    return node


def _without_ignored(pattern: str) -> str:
    """Return the pattern of names in a mapping without the keys that the loader ignores."""
    return pattern.replace("^", "^(?!x-)", 1) if re.search(pattern, "x-a") else pattern


def _about(node: dict[str, Any]) -> str:
    """Return the description of the entries of a list or a mapping of names. Empty: they have none."""
    entries = [node.get("items", {}), *node.get("patternProperties", {}).values()]
    entries += [choice for entry in entries for choice in entry.get("anyOf", [])]
    return next((str(entry["markdownDescription"]) for entry in entries if "markdownDescription" in entry), "")


def _each(node: dict[str, Any], change: Callable[[Any], Any]) -> None:
    """Change every schema inside a schema."""
    for key in ("properties", "patternProperties"):
        if key in node:
            node[key] = {name: change(value) for name, value in node[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = change(node[key])
    if "anyOf" in node:
        node["anyOf"] = [change(value) for value in node["anyOf"]]


def _merged(node: dict[str, Any]) -> dict[str, Any]:
    """Return an optional value without its anyOf: editors report errors of one type better than those of several."""
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    choices = [inner for choice in node["anyOf"] for inner in choice.get("anyOf", [choice])]
    values = [choice for choice in choices if choice != {"type": "null"}]
    if len(values) == len(choices):
        return {**rest, "anyOf": values}
    if len(values) == 1:
        return {**_or_null(values[0]), **rest}
    return {**rest, "anyOf": choices}


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that accepts an empty value, too."""
    if "anyOf" in value:
        return value | {"anyOf": [*value["anyOf"], {"type": "null"}]}
    types = value.get("type", [])
    return value | {"type": [*([types] if isinstance(types, str) else types), "null"]}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _described(text: str) -> dict[str, str]:
    """Return a description as plain text and as Markdown. Links between documents become their paths."""
    markdown = re.sub(r"\[[^\]]*\]\(([\w-]+\.md)[^)]*\)", r"docs/\1", text.replace("``", "`"))
    return {"description": markdown.replace("`", ""), "markdownDescription": markdown}
