"""`/ping/{key}`: jobs tell that they ran. The key is the secret, so that no token is needed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from aiohttp import web

from monitor.core.model.heartbeat import PingKind
from monitor.core.pings import KEPT_OUTPUT
from monitor.core.report_heard import heard_json
from monitor.operations import OperationError
from monitor.store.errors import StoreError
from monitor.web.backend import BACKEND
from monitor.web.failure_limit import FailureLimit

FAILURES: Final = web.AppKey("wrong_ping_keys", FailureLimit)

_MOST_READ: Final = 16 * 1024 * 1024
_PATIENCE: Final = timedelta(seconds=3)
_HIGHEST_EXIT_CODE: Final = 255


async def ping(request: web.Request) -> web.Response:
    """Take a signal of a job: 200 once it is durable, 202 where the store cannot be written.

    It counts in both cases. What is wrong with the body is no reason not to hear it.
    """
    backend = request.app[BACKEND]
    endpoint = backend.hearing.find(request.match_info["key"])
    if endpoint is None:
        backend.token_refused()
        raise _unknown(request)

    arrived = backend.hearing.arrive()
    kind, exit_code = _read_signal(request.match_info.get("signal", ""))
    output, cut = await _read_output(request)
    try:
        await backend.hearing.take(
            endpoint, kind, at=arrived, exit_code=exit_code, output=output, cut=cut
        )
    except OperationError:  # a reload took it away in this moment
        raise _unknown(request) from None
    except (StoreError, TimeoutError):
        return web.Response(
            text="taken, but not written down yet: the store cannot be written\n", status=202
        )

    return web.Response(text="ok\n")


async def heard(request: web.Request) -> web.Response:
    """Give what is known of one heartbeat, and when anybody listened."""
    found = request.app[BACKEND].hearing.heard(request.match_info["endpoint"])
    if found.heartbeat is None:
        raise web.HTTPNotFound(text="there is no such heartbeat")

    return web.json_response(heard_json(found))


def _unknown(request: web.Request) -> web.HTTPException:
    """Say nothing about which keys there are, and slow down who tries many."""
    wait = request.app[FAILURES].refuse(request.remote)
    if wait is None:
        return web.HTTPNotFound(text="there is no such heartbeat")

    seconds = f"{wait.total_seconds():.0f}"
    error = web.HTTPTooManyRequests(
        text=f"too many wrong keys from this address, try again in {seconds} s",
        headers={"Retry-After": seconds},
    )
    error.force_close()

    return error


def _read_signal(written: str) -> tuple[PingKind, int | None]:
    match written:
        case "":
            return PingKind.SUCCESS, 0
        case "start":
            return PingKind.START, None
        case "fail":
            return PingKind.FAIL, None

    digits = written.isascii() and written.isdigit() and len(written) <= 3
    if not digits or int(written) > _HIGHEST_EXIT_CODE:
        raise web.HTTPBadRequest(
            text="expected start, fail or an exit code from 0 to 255 behind the key, "
            f"found {written!r:.80}"
        )

    return PingKind.FAIL if int(written) else PingKind.SUCCESS, int(written)


async def _read_output(request: web.Request) -> tuple[str, bool]:
    """Read the end of what came with the signal, and say whether there was more before it."""
    kept = b""
    read = 0
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            async for chunk in request.content.iter_any():
                kept = (kept + chunk)[-2 * KEPT_OUTPUT :]
                read += len(chunk)
                if read > _MOST_READ:
                    kept += b"\n(the rest was not read)"
                    break
    except (TimeoutError, web.RequestPayloadError, ConnectionError):
        kept += b"\n(the rest did not arrive)"
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "", False

    return kept.decode("utf-8", "replace"), read > 2 * KEPT_OUTPUT
