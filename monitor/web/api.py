"""The handlers of health, reload and the JSON API, each a few lines over the backend."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from monitor import operations
from monitor.operations import OperationError, read_marker
from monitor.web.acting import read_object, refusals
from monitor.web.backend import BACKEND


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
    raw = await read_object(request)
    with refusals("the deploy is known"):
        deploy = await operations.announce_deploy(read_marker(raw), request.app[BACKEND].desk)

    return web.json_response(deploy)


async def requeue(request: web.Request) -> web.Response:
    """Queue what a notifier refused again."""
    raw = await read_object(request)
    with refusals("the notices are queued"):
        if set(raw) != {"notifier"} or not isinstance(raw["notifier"], str):
            raise OperationError("expected the name of a notifier as notifier, and nothing else")
        requeued = await operations.requeue(raw["notifier"], request.app[BACKEND].desk)

    return web.json_response(requeued)


async def accept_headers(request: web.Request) -> web.Response:
    """Accept the headers that an endpoint answers with."""
    raw = await read_object(request)
    with refusals("the headers are accepted"):
        if set(raw) != {"endpoint"} or not isinstance(raw["endpoint"], str):
            raise OperationError("expected the name of an endpoint as endpoint, and nothing else")
        accepted = await operations.accept_headers(raw["endpoint"], request.app[BACKEND].desk)

    return web.json_response(accepted)
