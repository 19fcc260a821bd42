"""The settings of who is told: routes, and how soon a service's incidents are answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from monitor.config.section import Section
from monitor.config.settings_fields import Name, SeverityName, Span, between, one_of, words
from monitor.config.translate import found
from monitor.core.model.incident import IncidentClass
from monitor.options import DURATION_PATTERN, parse_duration

NEVER: Final = "never"
"""What is written where there is no target."""

_SHORTEST_TARGET: Final = timedelta(seconds=1)
_SHORTEST_REMINDER: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=30)

Item = TypeVar("Item")


def _as_list(value: object) -> object:
    """Take one for a list of one; an empty list is good for nothing."""
    if value == []:
        raise ValueError("expected at least one")

    return value if isinstance(value, list) or value is None else [value]


def _read_target(value: object) -> timedelta | None:
    if value == NEVER:
        return None
    try:
        return between(_SHORTEST_TARGET, _LONGEST)(parse_duration(value))
    except ValueError as error:
        if isinstance(value, str) and not value[:1].isdigit():
            raise ValueError(
                f"expected a duration such as 5m, or {NEVER}, found {found(value)}"
            ) from error
        raise


def _read_reminder(value: object) -> timedelta:
    return between(_SHORTEST_REMINDER, _LONGEST)(parse_duration(value))


def _one_or_more(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


_NAME: Final = {"type": "string", "examples": ["storefront"]}

Names = Annotated[list[Name], BeforeValidator(_as_list), _one_or_more(_NAME)]
ClassName = Annotated[IncidentClass, PlainValidator(one_of(IncidentClass)), words(IncidentClass)]
Severities = Annotated[
    list[SeverityName],
    BeforeValidator(_as_list),
    _one_or_more({"type": "string", "enum": ["critical", "high", "medium", "low"]}),
]
Classes = Annotated[
    list[ClassName],
    BeforeValidator(_as_list),
    _one_or_more({"type": "string", "enum": [str(word) for word in IncidentClass]}),
]
Target = Annotated[
    timedelta | None,
    PlainValidator(_read_target),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": NEVER}]}),
]
ReminderSpan = Annotated[
    timedelta,
    PlainValidator(_read_reminder),
    WithJsonSchema({"type": "string", "examples": ["30m"], "pattern": DURATION_PATTERN}),
]


class MatchSettings(Section):
    """Which incidents a route is for; what is left out may be anything."""

    severity: Severities = Field(default_factory=list)
    service: Names = Field(default_factory=list)
    klass: Classes = Field(default_factory=list, alias="class")


class EscalationSettings(Section):
    """Who is told as well where nobody has acknowledged an incident after so long."""

    after: Span
    notify: Names


class RouteSettings(Section):
    """Who is told of which incidents. The first route that matches decides, but for `continue`."""

    match: MatchSettings = MatchSettings()
    notify: Names
    go_on: bool = Field(default=False, alias="continue")
    fallback: Name | None = None
    remind_every: ReminderSpan | None = None
    escalate: list[EscalationSettings] = Field(default_factory=list)


class TargetsSettings(Section):
    """How soon incidents are to be acknowledged and resolved, by their severity."""

    acknowledge: dict[SeverityName, Target] = Field(default_factory=dict)
    resolve: dict[SeverityName, Target] = Field(default_factory=dict)
