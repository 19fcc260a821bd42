"""The handlers of rollbacks and remedies, each a few lines over the acts of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from monitor import operations
from monitor.core.model.rollback import RollbackKind
from monitor.operations import OperationError
from monitor.operations.desk import LONGEST_REASON, check_keys, read_choice, read_text
from monitor.web.acting import desk_of, id_in, read_object, read_some, refusals, who

if TYPE_CHECKING:
    from collections.abc import Mapping


async def list_rollbacks(request: web.Request) -> web.Response:
    """Give the newest rollbacks and remedies; `?service=` chooses among them."""
    service = request.query.get("service") or None

    return web.json_response(operations.report_rollbacks(desk_of(request), service))


async def show(request: web.Request) -> web.Response:
    """Give one by its id, or the newest of a service."""
    with refusals():
        return web.json_response(operations.report_rollback(id_in(request), desk_of(request)))


async def start(request: web.Request) -> web.Response:
    """Roll a service back now, or try its remedy; asking twice by one `request` is asking once."""
    raw = await read_object(request)
    with refusals("it has begun"):
        check_keys(raw, ("service", "reason", "to", "kind", "request"))
        found = await operations.start(
            _needed(raw, "service"),
            who(request),
            _needed(raw, "reason"),
            read_text(raw, "to"),
            desk_of(request),
            kind=read_choice(raw, "kind", RollbackKind.ROLLBACK, tuple(RollbackKind)),
            request=read_text(raw, "request"),
        )

    return web.json_response(found)


async def approve(request: web.Request) -> web.Response:
    """Begin what waits."""
    raw = await read_some(request)
    with refusals("it is approved"):
        check_keys(raw, ())
        found = await operations.approve(id_in(request), who(request), desk_of(request))

    return web.json_response(found)


async def veto(request: web.Request) -> web.Response:
    """Keep what waits from beginning."""
    raw = await read_some(request)
    with refusals("it is vetoed"):
        check_keys(raw, ("reason",))
        reason = read_text(raw, "reason", LONGEST_REASON) or ""
        found = await operations.veto(id_in(request), who(request), reason, desk_of(request))

    return web.json_response(found)


def _needed(raw: Mapping[str, Any], key: str) -> str:
    value = read_text(raw, key, LONGEST_REASON)
    if value is None:
        raise OperationError(f"expected a {key}")

    return value
