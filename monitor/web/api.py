"""The handlers of health, reload and the JSON API, each a few lines over the backend."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from monitor import operations
from monitor.operations import OperationError, read_marker
from monitor.store.errors import StoreError
from monitor.web.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST: Final = 16
"""So many levels may be nested in a body: what works on it later may be recursive."""

_PATIENCE: Final = timedelta(seconds=10)
"""How long a client may take to send a body."""


async def healthy(_request: web.Request) -> web.Response:
    """Say that the process is alive."""
    return web.Response(text="healthy\n")


async def ready(request: web.Request) -> web.Response:
    """Say whether the first round is done: 200 or 503."""
    if not request.app[BACKEND].ready:
        raise web.HTTPServiceUnavailable(text="the first round is not done yet")

    return web.Response(text="ready\n")


async def reload(request: web.Request) -> web.Response:
    """Read the configuration again; 422 with all mistakes, and nothing changed, if it is wrong."""
    outcome = await request.app[BACKEND].reload()
    if outcome.problems:
        return web.json_response(
            {"error": "not reloaded", "problems": outcome.problems}, status=422
        )

    return web.json_response(
        {
            "reloaded": True,
            **asdict(outcome.difference),
            "needs_restart": outcome.needs_restart,
        }
    )


async def status(request: web.Request) -> web.Response:
    """Give what is failing now, incidents, rollbacks and deploys."""
    return web.json_response(request.app[BACKEND].status())


async def announce(request: web.Request) -> web.Response:
    """Take a deploy marker."""
    raw = await _read_object(request)
    try:
        deploy = await operations.announce_deploy(read_marker(raw), request.app[BACKEND].desk)
    except OperationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    except StoreError as error:
        raise web.HTTPServiceUnavailable(
            text=f"the deploy is known, but not written down yet: {error}"
        ) from error

    return web.json_response(deploy)


async def accept_headers(request: web.Request) -> web.Response:
    """Accept the headers that an endpoint answers with."""
    raw = await _read_object(request)
    try:
        if set(raw) != {"endpoint"} or not isinstance(raw["endpoint"], str):
            raise OperationError("expected the name of an endpoint as endpoint, and nothing else")
        accepted = await operations.accept_headers(raw["endpoint"], request.app[BACKEND].desk)
    except OperationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    except StoreError as error:
        raise web.HTTPServiceUnavailable(
            text=f"the headers are accepted, but that is not written down yet: {error}"
        ) from error

    return web.json_response(accepted)


async def _read_object(request: web.Request) -> Mapping[str, Any]:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(
            text=f"expected Content-Type: application/json, found {request.content_type}"
        )

    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise web.HTTPUnsupportedMediaType(
            text=f"expected a body without Content-Encoding, found {encoding!r:.80}"
        )

    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            body = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise web.HTTPBadRequest(
            text="the body broke off, or is not what its headers say"
        ) from error
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text="expected a JSON object, found no valid JSON") from error
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text=f"expected a JSON object, found {type(found).__name__}")
    if not _is_shallow(found):
        raise web.HTTPBadRequest(text=f"expected at most {_DEEPEST} levels of JSON")

    return found


def _is_shallow(value: object) -> bool:
    """Say whether no value is nested deeper than may be, level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]

    return not level
