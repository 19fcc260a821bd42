"""The handlers of incidents and silences, each a few lines over the acts of people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from monitor import operations
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.operations import OperationError
from monitor.operations.desk import check_keys, read_choice
from monitor.web.acting import desk_of, id_in, read_object, read_some, refusals, who

if TYPE_CHECKING:
    from collections.abc import Mapping

_DONE: Final = "it is done"
_LONGEST_LIST: Final = 200
_USUAL: Final = 50


async def list_incidents(request: web.Request) -> web.Response:
    """Give the newest incidents; `?open=true`, `?service=` and `?limit=` choose among them."""
    query = request.query
    limit = query.get("limit", "")
    with refusals():
        if limit and not (limit.isascii() and limit.isdigit() and len(limit) <= 4):
            raise OperationError(f"limit: expected a number, found {limit!r:.80}")
        found = await operations.list_incidents(
            desk_of(request),
            open_only=query.get("open", "").lower() in ("1", "true", "yes"),
            service=query.get("service", ""),
            limit=int(limit or _USUAL),
        )

    return web.json_response(found)


async def show(request: web.Request) -> web.Response:
    """Give one incident with its timeline."""
    with refusals():
        return web.json_response(await operations.show_incident(id_in(request), desk_of(request)))


async def postmortem(request: web.Request) -> web.Response:
    """Give the post-mortem of an incident as Markdown; with `?format=json` as JSON."""
    with refusals():
        written = await operations.write_postmortem(id_in(request), desk_of(request))

    if request.query.get("format") == "json":
        return web.json_response(written)

    return web.Response(text=written["markdown"], content_type="text/markdown", charset="utf-8")


async def open_incident(request: web.Request) -> web.Response:
    """Open an outage that a person has seen."""
    raw = await read_object(request)
    with refusals(_DONE):
        check_keys(raw, ("service", "title", "severity"))
        found = await operations.open_incident(
            _text(raw, "service"),
            _text(raw, "title"),
            who(request),
            desk_of(request),
            severity=read_choice(raw, "severity", Severity.HIGH, tuple(Severity)),
        )

    return web.json_response(found)


async def acknowledge(request: web.Request) -> web.Response:
    """Take an incident on."""
    with refusals(_DONE):
        check_keys(await read_some(request), ())
        found = await operations.acknowledge(id_in(request), who(request), desk_of(request))

    return web.json_response(found)


async def note(request: web.Request) -> web.Response:
    """Write a note into the timeline."""
    raw = await read_object(request)
    with refusals(_DONE):
        check_keys(raw, ("text", "phase"))
        found = await operations.note(
            id_in(request),
            who(request),
            _text(raw, "text"),
            desk_of(request),
            phase=_phase(raw),
        )

    return web.json_response(found)


async def resolve(request: web.Request) -> web.Response:
    """End an incident."""
    raw = await read_some(request)
    with refusals(_DONE):
        check_keys(raw, ("reason",))
        reason = _text(raw, "reason") if raw.get("reason") else ""
        found = await operations.resolve(id_in(request), who(request), reason, desk_of(request))

    return web.json_response(found)


async def label(request: web.Request) -> web.Response:
    """Give an incident these labels."""
    raw = await read_object(request)
    with refusals(_DONE):
        check_keys(raw, ("labels",))
        found = await operations.label(
            id_in(request), who(request), _texts(raw, "labels"), desk_of(request)
        )

    return web.json_response(found)


async def list_silences(request: web.Request) -> web.Response:
    """Give the silences that hold."""
    return web.json_response(operations.list_silences(desk_of(request)))


async def add_silence(request: web.Request) -> web.Response:
    """Withhold what becomes of some services for a time: `minutes`, or `until`."""
    raw = await read_object(request)
    desk = desk_of(request)
    with refusals(_DONE):
        check_keys(raw, ("services", "severities", "until", "minutes", "reason"))
        found = await operations.add_silence(
            _texts(raw, "services"),
            _read_end(raw, desk.clock()),
            who(request),
            desk,
            severities=[_severity(text) for text in _texts(raw, "severities")],
            reason=_text(raw, "reason") if raw.get("reason") else "",
        )

    return web.json_response(found)


async def remove_silence(request: web.Request) -> web.Response:
    """End a silence now."""
    with refusals(_DONE):
        found = await operations.remove_silence(id_in(request), who(request), desk_of(request))

    return web.json_response(found)


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise OperationError(f"{key}: expected a text, found {type(value).__name__}")

    return value


def _texts(raw: Mapping[str, Any], key: str) -> list[str]:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise OperationError(f"{key}: expected a list of texts")
    if len(value) > _LONGEST_LIST:
        raise OperationError(f"{key}: expected at most {_LONGEST_LIST}, found {len(value)}")

    return value


def _phase(raw: Mapping[str, Any]) -> IncidentPhase | None:
    if raw.get("phase") is None:
        return None

    return read_choice(raw, "phase", IncidentPhase.INVESTIGATING, tuple(IncidentPhase))


def _severity(text: str) -> Severity:
    return read_choice({"severities": text}, "severities", Severity.HIGH, tuple(Severity))


def _read_end(raw: Mapping[str, Any], now: datetime) -> datetime:
    """Read when a silence ends; a time needs its zone."""
    minutes, until = raw.get("minutes"), raw.get("until")
    if (minutes is None) == (until is None):
        raise OperationError("expected either minutes or until")
    if until is None:
        if isinstance(minutes, bool) or not isinstance(minutes, int | float):
            raise OperationError("minutes: expected a number")
        if not 0 < minutes <= operations.LONGEST_SILENCE / timedelta(minutes=1):
            raise OperationError(
                f"minutes: expected at most {operations.LONGEST_SILENCE.days} days"
            )
        return now + timedelta(minutes=minutes)

    try:
        end = datetime.fromisoformat(_text(raw, "until"))
    except ValueError as error:
        raise OperationError("until: expected a time such as 2026-07-01T08:00:00Z") from error
    if end.tzinfo is None:
        raise OperationError("until: expected a time with its zone, such as 2026-07-01T08:00:00Z")

    return end
