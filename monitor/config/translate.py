"""What pydantic finds wrong, in our own words: where it stands, what is wrong, what was wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from monitor.config.suggest import suggest
from monitor.core.expectations.shown import plain, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from monitor.config.document import At

_SECRET_KEY: Final = re.compile(
    r"token|secret|passw|key|auth|credential|webhook|cookie", re.IGNORECASE
)
_KEY: Final = "[key]"  # pydantic's mark for a complaint about a key of a map

_WANTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "none_required": "no value",
}
"""By the type of pydantic's error: what was wanted, before `, found …`."""

_EXAMPLES: Final[Mapping[str, str]] = {
    "run": "[restore, shop]",
    "redis.command": "[LLEN, jobs]",
    "tags": "[smoke]",
    "expect": "[{status: 200}]",
    "headers.expect": "[{header: server, exists: false}]",
    "depends_on": "[database]",
    "services": "[shop]",
    "notify": "[oncall]",
    "match": "{severity: [critical, high]}",
    "escalate": "[{after: 5m, notify: [pager]}]",
    "targets": "{acknowledge: {critical: 5m}}",
    "acknowledge": "{critical: 5m}",
    "resolve": "{critical: 15m}",
    "before": "[Tell support]",
    "during": "[Watch sales]",
    "after": "[Clear caches]",
    "checklist": "{after: [Clear caches]}",
    "weekly": '{day: sunday, at: "02:00"}',
    "verify.expect": "[{check: api.health, passes: 3}]",
    "certificate": "{expires_in: {gt: 14d}}",
    "expires_in": "{gt: 14d}",
    "failure_rate": "{lt: 5%, over: 5m}",
    "latency": "{p95: {lt: 400ms}}",
    "value": "{lt: 10}",
} | {f"latency.{name}": "{lt: 400ms}" for name in ("p50", "p95", "p99", "max")}
"""By key, or by that above it as well: what a list or a map looks like there."""

_CAPTURE: Final = "{json: $.token}"

_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
"""Limits of numbers: the words, and where pydantic keeps the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One mistake at a place; `at_key` means the key itself rather than what it leads to."""

    at: At
    message: str
    at_key: bool = False


def found(value: object) -> str:
    """Name a value that was found; what a map or a list holds may be secret and is not shown."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return plain(str(value))


def translate(
    error: ValidationError, model: type[BaseModel], data: object, at: At
) -> Iterator[Complaint]:
    """Tell each mistake of a part of the tree that stands `at`; one for each place."""
    told: set[tuple[At, bool]] = set()
    for detail in error.errors(include_url=False):
        complaint = _translate(detail, model, data, at)
        if (complaint.at, complaint.at_key) not in told:
            told.add((complaint.at, complaint.at_key))
            yield complaint


def unknown_key(key: object, known: Sequence[str]) -> str:
    """Say that a key is not known, and which was meant or which there are."""
    meant = suggest(str(key), known)
    if meant:
        return f"unknown key {plain(str(key))}{meant}"

    return f"unknown key {plain(str(key))}, expected one of {', '.join(sorted(known))}"


def _sent_header(key: object, at: At) -> str:
    """Say where a header belongs that is sent, where it stands among what is judged of them."""
    name = str(key)
    if at[:1] != ("endpoints",) or at[2:] != ("headers",) or not re.search("[-A-Z]", name):
        return ""

    return (
        f"unknown key {plain(name)}: headers judges what is answered; what is sent belongs below "
        f"request, as in request: {{headers: {{{plain(name)}: …}}}}"
    )


def _translate(detail: ErrorDetails, model: type[BaseModel], data: object, at: At) -> Complaint:
    steps = detail["loc"]
    at_key = bool(steps) and steps[-1] == _KEY
    if at_key:
        steps = steps[:-1]

    match detail["type"]:
        case "extra_forbidden":
            place = _follow(steps[:-1], data)
            known = _keys_at(model, steps[:-1])
            said = _sent_header(steps[-1], (*at, *place)) or unknown_key(steps[-1], known)
            return Complaint(at=(*at, *place, steps[-1]), message=said, at_key=True)
        case "missing" | "missing_argument":
            place = _follow(steps[:-1], data)
            return Complaint(at=(*at, *place), message=f"{steps[-1]} is missing", at_key=True)

    place = _follow(steps, data)

    return Complaint(at=(*at, *place), message=_message(detail, (*at, *place)), at_key=at_key)


def _message(detail: ErrorDetails, at: At) -> str:
    kind, value, facts = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        return str(facts["error"])

    shown = kind_of(value) if _may_be_secret(at) else found(value)
    if _WANTED.get(kind) in ("a map", "a list"):
        # a text in the place of a whole part may be the one secret of that part
        return f"expected {_WANTED[kind]}{_example(at)}, found {kind_of(value)}"
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, found {shown}{_advice(kind, value)}"
    if kind in ("too_short", "too_long"):
        least, limit = ("at least", "min") if kind == "too_short" else ("at most", "max")
        return f"expected {least} {facts[f'{limit}_length']}, found {facts['actual_length']}"
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"expected {words} {facts[limit]}, found {shown}"
    if tell := _OTHERS.get(kind):
        return f"expected {tell(facts)}, found {shown}"

    # what no table knows: pydantic's words, which never hold the value itself
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, found {shown}"


def _example(at: At) -> str:
    """Show what belongs at a place, where that is known; the keys above it say which it is."""
    above, name = ("", "", *map(str, at))[-2:]
    known = _EXAMPLES.get(f"{above}.{name}", _EXAMPLES.get(name))
    example = _CAPTURE if above == "capture" else known

    return f" such as {example}" if example else ""


_OTHERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "string_too_short": lambda facts: (
        "some text" if facts["min_length"] == 1 else f"{facts['min_length']} or more characters"
    ),
    "string_too_long": lambda facts: f"at most {facts['max_length']} characters",
    "string_pattern_mismatch": lambda facts: f"text that matches {facts['pattern']}",
    "literal_error": lambda facts: str(facts["expected"]).replace("'", ""),
    "enum": lambda facts: str(facts["expected"]).replace("'", ""),
    "is_instance_of": lambda facts: f"a {facts['class']}",
}


def _advice(kind: str, value: object) -> str:
    quotable = isinstance(value, bool | int | float)

    return "; quote it" if kind == "string_type" and quotable else ""


def kind_of(value: object) -> str:
    """Name only the type of what was found, where the value may be secret."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text" if value else "empty text"
        case _:
            return found(value)


def _may_be_secret(at: At) -> bool:
    name = next((step for step in reversed(at) if isinstance(step, str)), "")

    return _SECRET_KEY.search(name) is not None


def step_into(data: object, step: str | int) -> tuple[object] | None:
    """Give what a key or an index leads to, alone in a tuple; None where it leads nowhere."""
    match data, step:
        case dict(), _ if step in data:
            return (data[step],)
        case list(), int() if step < len(data):
            return (data[step],)

    return None


def _follow(steps: Sequence[str | int], data: object) -> At:
    """Give the steps that lead into the data; pydantic also names the branches of unions."""
    place: list[str | int] = []
    for step in steps:
        if inner := step_into(data, step):
            data = inner[0]
            place.append(step)

    return tuple(place)


def _keys_at(model: type[BaseModel], steps: Sequence[str | int]) -> tuple[str, ...]:
    """Give the keys that a model knows, some steps down."""

    for step in steps:
        inner = next(
            (field for name, field in model.model_fields.items() if step in (name, field.alias)),
            None,
        )
        found_models = list(models_in(inner.annotation)) if inner else []
        if found_models:
            model = found_models[0]

    return keys_of(model)


@cache
def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Give the keys of a model as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Give the models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)
