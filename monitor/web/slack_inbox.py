"""`/slack/actions`: clicks that Slack sends as signed requests, where Socket Mode is not used."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from aiohttp import web

from monitor.web.backend import BACKEND
from monitor.web.failure_limit import FailureLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from monitor.options import Secret

FAILURES: Final = web.AppKey("wrong_slack_signatures", FailureLimit)

WINDOW: Final = timedelta(minutes=5)
"""How far a request may be from our own time: what was overheard is worth nothing afterwards."""

_LARGEST: Final = 256 * 1024
"""A click brings its whole message along, with each letter outside of ASCII as eight."""

_PATIENCE: Final = timedelta(seconds=3)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")


class Seen:
    """Remembers signatures for as long as they are valid: each is taken once.

    Heard again, a click would do what nobody wants any more, such as to acknowledge an incident
    that has become worse in between. What was signed before `since`, or in that second, may have
    been taken by the process before this one. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float], since: datetime) -> None:
        self._clock = clock
        self._since = since.timestamp()
        self._until: dict[str, float] = {}

    def is_new(self, signature: str, timestamp: str) -> bool:
        """Say whether a signature is seen for the first time, and remember it."""
        if int(timestamp) <= self._since:
            return False

        now = self._clock()
        # A request may be from WINDOW ahead of our time, and is then valid for twice as long.
        self._until = {one: until for one, until in self._until.items() if until > now}
        if signature in self._until:
            return False

        self._until[signature] = now + 2 * WINDOW.total_seconds()

        return True


SEEN: Final = web.AppKey("slack_signatures", Seen)


async def act(request: web.Request) -> web.Response:
    """Take clicks that are signed with the secret of a notifier; 401 for whatever else comes."""
    backend = request.app[BACKEND]
    secrets = {
        name: options.signing_secret
        for name, options in backend.clicks.slacks.items()
        if options.signing_secret is not None
    }
    if not secrets:
        raise web.HTTPNotFound(text="no notifier of Slack has a signing_secret")

    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if not _SIGNATURE.fullmatch(signature) or not is_recent(timestamp, backend.now()):
        raise _unsigned(request)

    body = await _read(request)
    signers = find_signers(secrets, timestamp, body, signature)
    if not signers or not request.app[SEEN].is_new(signature, timestamp):
        raise _unsigned(request)

    await backend.clicks.take(_read_payload(body), signers)

    return web.Response()


def is_recent(timestamp: str, now: datetime) -> bool:
    """Say whether a Unix time in whole seconds is within the window around ours."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False

    return abs(now.timestamp() - int(timestamp)) <= WINDOW.total_seconds()


def find_signers(
    secrets: Mapping[str, Secret], timestamp: str, body: bytes, signature: str
) -> tuple[str, ...]:
    """Give whose secrets signed a request; each is tried, so that the time tells nothing."""
    return tuple(
        name
        for name, secret in secrets.items()
        if hmac.compare_digest(sign(secret.reveal(), timestamp, body), signature)
    )


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Write the signature that Slack gives a request: HMAC-SHA256 over `v0:timestamp:body`.

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    signed = b":".join((b"v0", timestamp.encode(), body))

    return f"v0={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


async def _read(request: web.Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > _LARGEST:
                    raise web.HTTPRequestEntityTooLarge(max_size=_LARGEST, actual_size=len(body))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise web.HTTPBadRequest(text="the body broke off") from error

    return bytes(body)


def _read_payload(body: bytes) -> object:
    """Read the form that Slack sends, which holds JSON; what it is is seen later."""
    try:
        form = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)
        payload: object = json.loads(form["payload"][0])
    except (ValueError, KeyError, RecursionError) as error:
        raise web.HTTPBadRequest(text="expected a form with a payload of JSON") from error

    return payload


def _unsigned(request: web.Request) -> web.HTTPException:
    """Say as little as may be, and slow down who tries many."""
    request.app[BACKEND].token_refused()
    wait = request.app[FAILURES].refuse(request.remote)
    if wait is None:
        return web.HTTPUnauthorized(text="expected a request that Slack has signed just now")

    seconds = f"{wait.total_seconds():.0f}"
    error = web.HTTPTooManyRequests(
        text=f"too many requests without a valid signature, try again in {seconds} s",
        headers={"Retry-After": seconds},
    )
    error.force_close()

    return error
