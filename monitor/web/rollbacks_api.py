"""The handlers of rollbacks and remedies, each a few lines over the acts of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from monitor import operations
from monitor.core.model.rollback import RollbackKind
from monitor.operations import OperationError
from monitor.operations.desk import check_keys, read_choice, read_text
from monitor.web.acting import read_object, refusals, who
from monitor.web.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.operations import Desk

_DONE: Final = "it is done"
_LONGEST_REASON: Final = 300


async def list_rollbacks(request: web.Request) -> web.Response:
    """Give the newest rollbacks and remedies; `?service=` chooses among them."""
    service = request.query.get("service") or None

    return web.json_response(operations.report_rollbacks(_desk(request), service))


async def show(request: web.Request) -> web.Response:
    """Give one by its id, or the newest of a service."""
    with refusals(_DONE):
        return web.json_response(operations.report_rollback(_id(request), _desk(request)))


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
            _desk(request),
            kind=read_choice(raw, "kind", RollbackKind.ROLLBACK, tuple(RollbackKind)),
            request=read_text(raw, "request"),
        )

    return web.json_response(found)


async def approve(request: web.Request) -> web.Response:
    """Begin what waits."""
    raw = await read_object(request) if request.can_read_body else {}
    with refusals("it is approved"):
        check_keys(raw, ())
        found = await operations.approve(_id(request), who(request), _desk(request))

    return web.json_response(found)


async def veto(request: web.Request) -> web.Response:
    """Keep what waits from beginning."""
    raw = await read_object(request) if request.can_read_body else {}
    with refusals("it is vetoed"):
        check_keys(raw, ("reason",))
        reason = read_text(raw, "reason", _LONGEST_REASON) or ""
        found = await operations.veto(_id(request), who(request), reason, _desk(request))

    return web.json_response(found)


def _desk(request: web.Request) -> Desk:
    return request.app[BACKEND].desk


def _id(request: web.Request) -> str:
    return request.match_info["id"]


def _needed(raw: Mapping[str, Any], key: str) -> str:
    value = read_text(raw, key, _LONGEST_REASON)
    if value is None:
        raise OperationError(f"expected a {key}")

    return value
