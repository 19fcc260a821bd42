"""The JSON Schema (draft 2020-12) of the configuration, for editors, from models and tables."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from monitor.config.settings import (
    Defaults,
    EndpointSettings,
    ServiceSettings,
    TopSection,
    WebSection,
    WitnessSettings,
)
from monitor.config.settings_checklists import ChecklistSettings
from monitor.config.settings_evidence import EvidenceSettings
from monitor.config.settings_fields import NAME_PATTERN
from monitor.config.settings_maintenance import MaintenanceSettings
from monitor.config.settings_routes import RouteSettings
from monitor.core.expectations import expectation_schema
from monitor.core.headers.demands import policies_schema
from monitor.core.model.endpoint import InARow
from monitor.fields import write_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.fields import Kind, Kinds
    from monitor.probes.kind import ProbeKind

    Schema = dict[str, Any]  # Any: JSON
    Models = Mapping[Any, Schema]  # by the model; pydantic says it may be other types too

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_MODELS: Final = (
    TopSection,
    WebSection,
    Defaults,
    WitnessSettings,
    ServiceSettings,
    ChecklistSettings,
    EvidenceSettings,
    MaintenanceSettings,
    RouteSettings,
)
_EXPECT: Final = "Expectation"
_VARIABLE: Final = "Variable"
_LIMITS: Final = frozenset(
    {"type", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)


class _Generator(GenerateJsonSchema):
    """Writes defaults as they would be written in a file."""

    def encode_default(self, dft: Any) -> Any:
        """Write one default; None for what is no single value, which is then left out."""
        match dft:
            case timedelta():
                return write_duration(dft)
            case InARow(count=count):
                return count
            case StrEnum():
                return str(dft)
            case BaseModel() | tuple():
                return None

        return super().encode_default(dft)


def build_schema() -> dict[str, Any]:
    """Give the schema of a whole configuration, plug-ins and expectations included."""
    from monitor import hooks, notifiers, probes

    tables = (probes.KINDS, notifiers.KINDS, hooks.KINDS)
    read: list[type[BaseModel]] = [*_MODELS, EndpointSettings]
    read += [kind.options for table in tables for kind in table.values()]
    references, shared = models_json_schema(
        [(model, "validation") for model in read],
        ref_template="#/$defs/{model}",
        schema_generator=_Generator,
    )
    models: Models = {model: schema for (model, _), schema in references.items()}
    definitions: Schema = _properties(shared["$defs"])
    definitions[_VARIABLE] = {
        "type": "string",
        "pattern": r"\$\{.+\}",
        "description": "Text with a variable in it: ${NAME}, ${NAME:-default}, ${file:/path}.",
    }
    definitions[_EXPECT] = _expectation(definitions)
    definitions["Endpoint"] = _endpoint(definitions, models, probes.KINDS)
    definitions["Notifier"] = _one_of_kinds(models, notifiers.KINDS)
    definitions["Step"] = _step(models, hooks.KINDS)

    for checks in ("HealthSettings", "HeadersSettings"):
        definitions[checks]["properties"]["expect"]["items"] = _ref(_EXPECT)
    definitions["HeadersSettings"]["properties"]["policies"]["items"] = policies_schema()
    definitions["ServiceSettings"]["properties"]["evidence"]["items"] = _ref("EvidenceSettings")
    definitions["StepOptions"]["properties"]["expect"]["items"] = _ref(_EXPECT)
    for tried in ("RollbackSettings", "RemedySettings", "LevelSettings"):
        definitions[tried]["properties"]["steps"]["items"] = _ref("Step")

    return _top(definitions, models)


def _top(definitions: Schema, models: Models) -> Schema:
    top = definitions.pop("TopSection")
    top["properties"] |= {
        "web": _or_nothing(models[WebSection]),
        "defaults": _or_nothing(models[Defaults]),
        "witnesses": _or_nothing({"type": "array", "items": models[WitnessSettings]}),
        "notifiers": _or_nothing(_named(_ref("Notifier"))),
        "services": _or_nothing(_named(_or_nothing(models[ServiceSettings]))),
        "endpoints": _or_nothing(_named(_ref("Endpoint"))),
        "maintenance": _or_nothing({"type": "array", "items": models[MaintenanceSettings]}),
        "routes": _or_nothing({"type": "array", "items": models[RouteSettings]}),
    }
    del definitions["EndpointSettings"]

    return {
        "$schema": _DRAFT,
        "title": "Configuration of production-monitor",
        **top,
        "$defs": definitions,
    }


def _endpoint(definitions: Schema, models: Models, kinds: Kinds[ProbeKind]) -> Schema:
    """A URL alone, or a map with the keys of exactly one kind beside those that each has."""
    general = definitions["EndpointSettings"]
    properties: Schema = dict(general["properties"])
    properties["health"] = {"anyOf": [{"const": False}, _ref("HealthSettings")]}
    for name, kind in kinds.items():
        if kind.flat:
            properties |= definitions[_name_of(models[kind.options])]["properties"]
        else:
            properties[name] = models[kind.options]

    assert set(kinds.taken) <= set(properties)

    return {
        "description": general.get("description", ""),
        "anyOf": [
            {"type": "string", "description": "The URL that is asked."},
            {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                "oneOf": [{"required": [name]} for name in kinds],
            },
        ],
    }


def _one_of_kinds(models: Models, kinds: Mapping[str, Kind]) -> Schema:
    properties = {name: models[kind.options] for name, kind in kinds.items()}

    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _step(models: Models, kinds: Mapping[str, Kind]) -> Schema:
    """One kind with its options, and a name if it has one."""
    properties: Schema = {name: models[kind.options] for name, kind in kinds.items()}
    properties["name"] = {"type": "string", "pattern": NAME_PATTERN}

    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in kinds],
    }


def _expectation(definitions: Schema) -> Schema:
    """Take over the core's schema; what it defines itself moves to the other definitions."""
    schema = dict(expectation_schema())
    definitions |= schema.pop("$defs", {})
    schema.pop("$schema", None)

    return schema


def _named(of: Schema) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": of,
    }


def _or_nothing(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _name_of(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _clean(schema: Any) -> Any:
    """Leave out what tells a person who edits nothing: titles, null and the default of null."""
    match schema:
        case {"anyOf": [only, {"type": "null"}]}:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return _clean(rest | only)
        case dict():
            kept = {
                key: _properties(value) if key == "properties" else _clean(value)
                for key, value in schema.items()
                if not (key == "title" and isinstance(value, str))
                and not (key == "default" and value is None)
            }
            return _or_variable(kept)
        case list():
            return [_clean(item) for item in schema]

    return schema


def _or_variable(schema: Schema) -> Schema:
    """Take a variable where only some texts, or no text, would do."""
    # a list of types has text among them already
    limited = schema.get("type") in ("integer", "number", "boolean")
    if not (limited or "enum" in schema or "pattern" in schema):
        return schema

    limits = {key: value for key, value in schema.items() if key in _LIMITS}
    rest = {key: value for key, value in schema.items() if key not in _LIMITS}

    return rest | {"anyOf": [limits, _ref(_VARIABLE)]}


def _properties(properties: Schema) -> Schema:
    return {name: _clean(schema) for name, schema in properties.items()}
